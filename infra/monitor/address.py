"""Where the monitor is served, and who may reach it there."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from infra.settings import Settings
from streams.errors import Declined

PORT = 8642
"""The monitor's port, unless another one is asked for."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Address:
    """An address to listen on. ``names`` are those that it may be asked for by, besides its own.

    Examples
    --------
    >>> Address().answers_to("localhost:8642"), Address().answers_to("evil.example:8642")
    (True, False)
    >>> Address("0.0.0.0", 80, ("ml.example",)).answers_to("ml.example")
    True
    """

    host: str = "127.0.0.1"
    port: int = PORT
    names: tuple[str, ...] = ()

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it.

        >>> Address().is_loopback, Address("::1").is_loopback, Address("0.0.0.0").is_loopback
        (True, True, False)
        """
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def refuse_open(self, settings: Settings) -> None:
        """Raise Declined when others could reach it and need no token."""
        if not self.is_loopback and settings.monitor_token is None:
            raise Declined(
                f"the monitor must not be served on {self.host} without a token",
                where="--bind",
                remedy="set RIVERRUN_MONITOR_TOKEN (`openssl rand -hex 32` makes one), or bind to 127.0.0.1",
            )

    def answers_to(self, host: str | None) -> bool:
        """Whether a request's header Host names it. Another name means that somebody else's name leads here: a page of
        theirs would be taken for ours. Nobody can do so with a number, so on a network each of our addresses will do.
        """
        name = _name(host or "")
        known = {*LOOPBACK, self.host.lower(), *(each.lower() for each in self.names)}
        return name in known or (not self.is_loopback and _is_number(name))


def _name(host: str) -> str:
    """The name of ``name:port`` or ``[address]:port``.

    >>> _name("[::1]:8642"), _name("LocalHost"), _name("127.0.0.1:1")
    ('::1', 'localhost', '127.0.0.1')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
