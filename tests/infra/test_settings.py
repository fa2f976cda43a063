"""Settings: half a configuration is declined by name, both clients are told the same, and secrets stay secret."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from kafka.admin import KafkaAdminClient

from infra.settings import Settings
from streams.errors import Declined

SASL = {
    "BOOTSTRAP_SERVERS": "kafka-1:9093,kafka-2:9093",
    "SECURITY_PROTOCOL": "SASL_SSL",
    "SASL_MECHANISM": "SCRAM-SHA-512",
    "SASL_USERNAME": "riverrun",
    "SASL_PASSWORD": "a-secret",
}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in [name for name in os.environ if name.startswith("RIVERRUN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(f"RIVERRUN_{name}", value)
    return Settings.load()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"SASL_PASSWORD": ""}, "RIVERRUN_SASL_PASSWORD: not set; SASL_SSL needs it"),
        ({"SASL_USERNAME": ""}, "RIVERRUN_SASL_USERNAME: not set"),
        ({"SASL_MECHANISM": ""}, "RIVERRUN_SASL_MECHANISM: not set"),
        ({"SASL_MECHANISM": "KERBEROS"}, "RIVERRUN_SASL_MECHANISM: Input should be 'PLAIN'"),
        ({"SECURITY_PROTOCOL": "SSL"}, "RIVERRUN_SASL_MECHANISM: SSL does not use it"),
        ({"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SSL_CAFILE": "ca.pem"}, "SASL_PLAINTEXT does not use it"),
        ({"SECURITY_PROTOCOL": "TLS"}, "RIVERRUN_SECURITY_PROTOCOL: Input should be"),
        ({"SSL_CERTFILE": "cert.pem"}, "RIVERRUN_SSL_KEYFILE: not set; certificate and key go together"),
        ({"SSL_KEYFILE": "key.pem"}, "RIVERRUN_SSL_CERTFILE: not set"),
        ({"SSL_KEYFILE_PASSWORD": "x"}, "RIVERRUN_SSL_KEYFILE_PASSWORD: there is no key file"),
        ({"SSL_CAFILE": "nowhere.pem"}, "RIVERRUN_SSL_CAFILE: nowhere.pem is not a file"),
        ({"BOOTSTRAP_SERVERS": ""}, "RIVERRUN_SECURITY_PROTOCOL: the embedded broker has none"),
        ({"SIGNING_KEY": "short"}, "RIVERRUN_SIGNING_KEY: shorter than 16 characters"),
        ({"SECRETS_DIR": "nowhere"}, "RIVERRUN_SECRETS_DIR: nowhere is not a folder"),
    ],
)
def test_half_a_configuration_is_declined(monkeypatch: pytest.MonkeyPatch, change: dict[str, str], complaint: str):
    with pytest.raises(Declined, match=complaint) as declined:
        load(monkeypatch, **{**SASL, **change})
    assert declined.value.where
    assert declined.value.remedy
    assert "a-secret" not in str(declined.value)


def test_both_clients_are_told_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    files = {"SSL_CAFILE": "ca.pem", "SSL_CERTFILE": "cert.pem", "SSL_KEYFILE": "key.pem", "SSL_KEYFILE_PASSWORD": "pw"}
    settings = load(monkeypatch, **SASL, **files)
    same = {
        "bootstrap_servers": "bootstrap.servers",
        "security_protocol": "security.protocol",
        "sasl_mechanism": "sasl.mechanism",
        "sasl_plain_username": "sasl.username",
        "sasl_plain_password": "sasl.password",
        "ssl_cafile": "ssl.ca.location",
        "ssl_certfile": "ssl.certificate.location",
        "ssl_keyfile": "ssl.key.location",
        "ssl_password": "ssl.key.password",
    }
    ours = {**settings.kafka_python(), "bootstrap_servers": ",".join(settings.kafka_python()["bootstrap_servers"])}
    assert {same[name]: value for name, value in ours.items()} == settings.confluent()
    assert set(ours) <= set(KafkaAdminClient.DEFAULT_CONFIG)


def test_librdkafka_knows_the_properties(monkeypatch: pytest.MonkeyPatch):
    Consumer({**load(monkeypatch, **SASL).confluent(), "group.id": "x"}).close()


def test_secrets_come_from_files_and_never_show(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "riverrun_sasl_password").write_text("from-a-file\n")
    settings = load(monkeypatch, **{**SASL, "SASL_PASSWORD": "", "SECRETS_DIR": str(tmp_path)})
    assert settings.kafka_python()["sasl_plain_password"] == "from-a-file"
    assert "from-a-file" not in f"{settings!r} {settings}"


def test_the_signing_key_is_made_once_for_its_owner_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    settings = load(monkeypatch, HOME=str(tmp_path / "home"))
    key = settings.signing_key_bytes()
    path = tmp_path / "home" / "signing.key"
    assert len(key) == 64
    assert settings.signing_key_bytes() == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(Declined, match="others can read the signing key"):
        settings.signing_key_bytes()
    assert load(monkeypatch, SIGNING_KEY="sixteen letters!").signing_key_bytes() == b"sixteen letters!"


def test_without_a_broker_the_remedy_names_the_command(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(Declined, match=r"no Kafka broker runs here .*riverrun broker start"):
        load(monkeypatch).confluent()
