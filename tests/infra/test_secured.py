"""Every role against a Kafka that wants TLS and a password. The password is shown nowhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from infra import broker as embedded
from infra.broker import EmbeddedBroker
from infra.broker_config import Proxied
from tests.chaos.ports import quiet_port
from tests.faults.real import Real
from tests.infra.monitor.running import Monitor

pytestmark = pytest.mark.broker
USER, PASSWORD = "riverrun", "canary-sasl-password-0123456789"
SECURED = "SECURED"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, signed by itself, and the same with its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
        .public_bytes(Encoding.PEM)
    )
    (public := folder / "authority.pem").write_bytes(made)
    (both := folder / "broker.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made
    )
    return public, both


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """A broker's plain address, for what the tests do themselves, and the environment of roles that come by TLS."""
    folder = tmp_path_factory.mktemp("secured")
    authority, both = certificate(folder)
    port, own = quiet_port(), f"listener.name.{SECURED.lower()}."
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    more = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": both,
        "sasl.enabled.mechanisms": "PLAIN",
        "plain.sasl.jaas.config": f'{login} user_{USER}="{PASSWORD}";',
    }
    usual = embedded.server_properties

    def properties(*arguments: object) -> str:
        text = usual(*arguments).replace(f"{SECURED}:PLAINTEXT", f"{SECURED}:SASL_SSL")  # type: ignore[arg-type]
        return text + "".join(f"{own}{name}={value}\n" for name, value in more.items())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "server_properties", properties)
        made = EmbeddedBroker(folder / "broker", quiet_port(), proxies={SECURED: Proxied(port, port)})
        started = made.start()
    yield (
        started.bootstrap_servers,
        {
            "RIVERRUN_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
            "RIVERRUN_SECURITY_PROTOCOL": "SASL_SSL",
            "RIVERRUN_SASL_MECHANISM": "PLAIN",
            "RIVERRUN_SASL_USERNAME": USER,
            "RIVERRUN_SASL_PASSWORD": PASSWORD,
            "RIVERRUN_SSL_CAFILE": str(authority),
        },
    )
    made.stop()


def run(made: Real, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.cli", *arguments]
    inherited = {"PATH": "/usr/bin:/bin", "RIVERRUN_HOME": str(made.home)}
    return subprocess.run(command, env=inherited | env, capture_output=True, text=True, timeout=120, check=False)


def riverrun(made: Real, env: dict[str, str], *arguments: str) -> str:
    """What a command says, all of it."""
    done = run(made, env, *arguments)
    said = done.stdout + done.stderr
    assert PASSWORD not in said
    assert done.returncode == 0, said
    return said


def test_every_role_works_by_tls_and_password(secured: tuple[str, dict[str, str]], real: Callable[..., Real]) -> None:
    servers, env = secured
    made = real(servers=servers)
    made.publish(100)
    made.worker(more=env)
    made.close()
    with Monitor(made, env=env) as running:
        running.until(made.processed)
        running.until(lambda: running.ask(f"/api/pipelines/{made.name}")[0] == 200)
        running.until_active()
        status, overview, _ = running.ask(f"/api/pipelines/{made.name}")
        assert (status, overview["tasks_problem"]) == (200, None)
        assert PASSWORD not in str(overview)
        file = str(made.file)
        assert f"{made.name}.predictions" in riverrun(made, env, "topics", "list")
        riverrun(made, env, "models", "pause", file, "--why", "a test", "--by", "me")
        riverrun(made, env, "sink", file, "--once")
        assert "scored" in riverrun(made, env, "trace", "event 3")
    for log in made.home.glob("*.log"):
        assert PASSWORD not in log.read_text()
    (worker,) = made.running
    assert worker.poll() is None


def test_a_wrong_password_is_an_error_that_does_not_show_it(
    secured: tuple[str, dict[str, str]], real: Callable[..., Real]
) -> None:
    servers, env = secured
    made = real(servers=servers)
    wrong = PASSWORD[::-1]
    worker = made.worker(more={**env, "RIVERRUN_SASL_PASSWORD": wrong})
    made.until(lambda: worker.poll() is not None)
    said = made.log().read_text()
    assert worker.poll() == 2, said
    assert "RIVERRUN_SASL_" in said
    assert wrong not in said


@pytest.mark.parametrize("command", ["sink FILE --once", "topics apply FILE", "monitor FILE --port 0"])
def test_so_it_is_for_the_other_roles(
    secured: tuple[str, dict[str, str]], real: Callable[..., Real], command: str
) -> None:
    servers, env = secured
    made = real(servers=servers)
    wrong = {**env, "RIVERRUN_SASL_PASSWORD": PASSWORD[::-1]}
    done = run(made, wrong, *command.replace("FILE", str(made.file)).split())
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "RIVERRUN_SASL_" in said
    assert "Traceback" not in said
    assert wrong["RIVERRUN_SASL_PASSWORD"] not in said
