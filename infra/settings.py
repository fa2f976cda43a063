"""Settings of every command, from the environment (``RIVERRUN_…``) and from secret files. Never from arguments.

With ``RIVERRUN_SECRETS_DIR=/run/secrets`` the file ``/run/secrets/riverrun_sasl_password`` holds what the variable
``RIVERRUN_SASL_PASSWORD`` would; a variable wins over a file.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from streams.errors import Declined

PREFIX = "RIVERRUN_"
KEY_BYTES_MIN = 16
"""Of the signing key, and of the monitor's token."""


class Settings(BaseSettings):
    """What differs from machine to machine. Make one with ``Settings.load()``.

    ``home`` holds all local data. ``bootstrap_servers`` names a Kafka cluster ("host:port,host:port"); None means the
    embedded broker of ``home``. The rest is how that cluster wants to be spoken to, for both clients alike, and the key
    that checkpoints are signed with. ``checkpoints`` is where they go: a folder, or a URI (``s3://…``). Whoever knows
    ``monitor_token`` may use the monitor. ``log_format`` is that of what roles log.

    Examples
    --------
    >>> settings = Settings(bootstrap_servers="kafka-1:9093", security_protocol="SASL_SSL", sasl_mechanism="PLAIN",
    ...                     sasl_username="riverrun", sasl_password="hush")
    >>> settings.sasl_password
    SecretStr('**********')
    >>> settings.confluent()["security.protocol"], settings.kafka_python()["security_protocol"]
    ('SASL_SSL', 'SASL_SSL')
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    home: Path = Path(".riverrun")
    bootstrap_servers: str | None = None
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    ssl_keyfile_password: SecretStr | None = None
    signing_key: SecretStr | None = None
    checkpoints: str | None = None
    monitor_token: SecretStr | None = None
    log_format: Literal["text", "json"] = "text"

    @classmethod
    def load(cls) -> Settings:
        """Settings as the environment has them. Raises Declined for a wrong value, or half a configuration."""
        folder = os.environ.get(f"{PREFIX}SECRETS_DIR")
        if folder and not Path(folder).is_dir():
            raise _declined("SECRETS_DIR", f"{folder} is not a folder", "name the folder your secrets are mounted at")
        try:
            return cls(_secrets_dir=folder)  # type: ignore[call-arg]  # mypy sees fields only, without pydantic's plugin
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            name = str(first["loc"][0])
            raise _declined(name, first["msg"], f"mend or unset {PREFIX}{name.upper()}") from None  # it shows values

    @model_validator(mode="after")
    def _is_whole(self) -> Settings:
        """Refuse half a configuration: what was set but could not take effect, or needs what was not set."""
        sasl = {name: getattr(self, name) for name in ("sasl_mechanism", "sasl_username", "sasl_password")}
        tls = {name: getattr(self, name) for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile")}
        if self.security_protocol.startswith("SASL"):
            _need_all(sasl, f"{self.security_protocol} needs it")
        else:
            _need_none(sasl, f"{self.security_protocol} does not use it", "set RIVERRUN_SECURITY_PROTOCOL to SASL_SSL")
        if not self.security_protocol.endswith("SSL"):
            unused = {**tls, "ssl_keyfile_password": self.ssl_keyfile_password}
            _need_none(unused, f"{self.security_protocol} does not use it", "set RIVERRUN_SECURITY_PROTOCOL to …SSL")
        if self.ssl_certfile or self.ssl_keyfile:
            _need_all({name: tls[name] for name in ("ssl_certfile", "ssl_keyfile")}, "certificate and key go together")
        elif self.ssl_keyfile_password:
            raise _declined("ssl_keyfile_password", "there is no key file it could open", "set RIVERRUN_SSL_KEYFILE")
        for name, path in tls.items():
            if path and not path.is_file():
                raise _declined(name, f"{path} is not a file", "name a PEM file that exists")
        if self.security_protocol != "PLAINTEXT" and not self.bootstrap_servers:
            raise _declined("security_protocol", "the embedded broker has none", "set RIVERRUN_BOOTSTRAP_SERVERS")
        if self.signing_key and len(self.signing_key.get_secret_value()) < KEY_BYTES_MIN:
            raise _declined(
                "signing_key", f"shorter than {KEY_BYTES_MIN} characters", "`openssl rand -hex 32` makes one"
            )
        if self.monitor_token and len(self.monitor_token.get_secret_value()) < KEY_BYTES_MIN:
            raise _declined(
                "monitor_token", f"shorter than {KEY_BYTES_MIN} characters", "`openssl rand -hex 32` makes one"
            )
        return self

    @property
    def broker_folder(self) -> Path:
        """Where the embedded broker keeps its data."""
        return self.home / "broker"

    def data_folder(self, pipeline: str) -> Path:
        """Where a pipeline's local files lie."""
        return self.home / pipeline

    def servers(self) -> str:
        """The configured bootstrap servers, else those of the embedded broker. Raises Declined when it does not run."""
        if self.bootstrap_servers:
            return self.bootstrap_servers
        from infra.broker import EmbeddedBroker

        running = EmbeddedBroker(self.broker_folder).running()
        if running is None:
            raise Declined(
                "no Kafka broker runs here",
                where=str(self.broker_folder),
                remedy="`riverrun broker start`, or set RIVERRUN_BOOTSTRAP_SERVERS",
            )
        return running.bootstrap_servers

    def kafka_python(self) -> dict[str, Any]:
        """Keyword arguments for any client of kafka-python."""
        return _without_none(
            bootstrap_servers=self.servers().split(","),
            security_protocol=self.security_protocol,
            sasl_mechanism=self.sasl_mechanism,
            sasl_plain_username=self.sasl_username,
            sasl_plain_password=_reveal(self.sasl_password),
            ssl_cafile=_text(self.ssl_cafile),
            ssl_certfile=_text(self.ssl_certfile),
            ssl_keyfile=_text(self.ssl_keyfile),
            ssl_password=_reveal(self.ssl_keyfile_password),
        )

    def confluent(self) -> dict[str, Any]:
        """Properties for any client of confluent-kafka; the same meaning as ``kafka_python``."""
        return _without_none(
            **{
                "bootstrap.servers": self.servers(),
                "security.protocol": self.security_protocol,
                "sasl.mechanism": self.sasl_mechanism,
                "sasl.username": self.sasl_username,
                "sasl.password": _reveal(self.sasl_password),
                "ssl.ca.location": _text(self.ssl_cafile),
                "ssl.certificate.location": _text(self.ssl_certfile),
                "ssl.key.location": _text(self.ssl_keyfile),
                "ssl.key.password": _reveal(self.ssl_keyfile_password),
            }
        )

    def signing_key_bytes(self) -> bytes:
        """The key checkpoints are signed with: the setting, else the file ``{home}/signing.key``, made at first use.

        Raises Declined if others can read or change the file: whoever has the key can have any code unpickled.
        """
        if self.signing_key:
            return self.signing_key.get_secret_value().encode()
        path = self.home / "signing.key"
        if not path.exists():
            _create_key(path)
        if path.stat().st_mode & 0o077:
            raise Declined("others can read the signing key", where=str(path), remedy=f"`chmod 600 {path}`")
        key = path.read_bytes().strip()
        if len(key) < KEY_BYTES_MIN:
            raise Declined("the signing key is cut short", where=str(path), remedy="put back the key from your backup")
        return key


def _create_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent) as scratch:  # mode 0600
        scratch.write(secrets.token_hex(32).encode() + b"\n")
        scratch.flush()
        os.fsync(scratch.fileno())
        try:
            os.link(scratch.name, path)
        except FileExistsError:
            return  # another process was first; its key holds


def _need_all(values: Mapping[str, object], why: str) -> None:
    for name, value in values.items():
        if value is None:
            raise _declined(name, f"not set; {why}", f"set {PREFIX}{name.upper()}")


def _need_none(values: Mapping[str, object], why: str, remedy: str) -> None:
    for name, value in values.items():
        if value is not None:
            raise _declined(name, why, f"{remedy}, or unset {PREFIX}{name.upper()}")


def _declined(name: str, what: str, remedy: str) -> Declined:
    return Declined(f"{PREFIX}{name.upper()}: {what}", where="environment or secret file", remedy=remedy)


def _without_none(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
