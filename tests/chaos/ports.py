"""Ports that stay ours while nobody listens on them."""

from __future__ import annotations

import os
import random
from pathlib import Path

from infra.broker_config import is_free

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST, _HIGHEST = 10_000, 65_000
_PROCESSES_MAX = 16
_draw = random.SystemRandom()
_given: set[int] = set()


def quiet_port() -> int:
    """A free port that the system gives to nobody who does not ask for it, and we to nobody else.

    Those it gives out by itself will not do for a broker that is killed: the next connection of anybody may take its
    port, even the one of a client that tries to reach it there and then talks to itself.
    """
    while (port := _draw.choice(_ours())) in _given or not is_free(port):
        pass
    _given.add(port)
    return port


def _ours() -> range:
    """Those for this process among the tests' processes: every sixteenth that the system does not give out."""
    lowest, highest = map(int, _EPHEMERAL.read_text().split()) if _EPHEMERAL.exists() else (32_768, 60_999)
    below, above = range(_LOWEST, lowest), range(highest + 1, _HIGHEST)
    outside = max(below, above, key=len)
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return outside[process % _PROCESSES_MAX :: _PROCESSES_MAX]
