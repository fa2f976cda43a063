"""Ports that stay ours while nobody listens on them."""

from __future__ import annotations

import random

from infra.broker_config import is_free

_BELOW_EPHEMERAL = range(20_000, 30_000)
_draw = random.SystemRandom()


def quiet_port() -> int:
    """A free port that the system gives to nobody who does not ask for it.

    Those it gives out by itself will not do for a broker that is killed: the next connection of anybody may take its
    port, even the one of a client that tries to reach it there and then talks to itself.
    """
    while not is_free(port := _draw.choice(_BELOW_EPHEMERAL)):
        pass
    return port


def quiet_ports(count: int) -> int:
    """The first of so many such ports in a row."""
    while True:
        first = quiet_port()
        if all(is_free(first + place) for place in range(count)):
            return first
