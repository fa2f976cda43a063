"""File-based discovery: each process that serves metrics says where, in a file that Prometheus watches.

    {RIVERRUN_HOME}/prometheus/targets/{pipeline}.{role}-{id}.json

The name says who it is, so what follows a process that was killed writes over its file. Until then the file stays: a
process that is gone without an orderly stop is one that is down.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import msgspec

_log = logging.getLogger("riverrun.process")


def folder(home: Path) -> Path:
    """Where Prometheus' files are, of the processes that have this folder for their data."""
    return home / "prometheus"


@dataclass(frozen=True, slots=True)
class Target:
    """A process that serves metrics: of which pipeline (of a source: its name), in which role, and its own name.

    Examples
    --------
    >>> Target("flights", "worker", "1").instance, Target("flights", "up").instance
    ('worker-1', 'up')
    >>> Target("flights", "worker", "a/b").file
    'flights.worker-a%2Fb.json'
    """

    pipeline: str
    role: str
    id: str = ""

    @property
    def instance(self) -> str:
        """Its name among the processes of the pipeline: the same after a restart, wherever it listens then."""
        return f"{self.role}-{self.id}" if self.id else self.role

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{quote(self.pipeline, safe='')}.{quote(self.instance, safe='')}.json"


@contextmanager
def discoverable(home: Path, target: Target, port: int) -> Iterator[None]:
    """Prometheus finds the process at this port of the machine, from now until it stops in order.

    Examples
    --------
    >>> import tempfile
    >>> home = Path(tempfile.mkdtemp())
    >>> with discoverable(home, Target("flights", "sink", "1"), 9465):
    ...     print((home / "prometheus" / "targets" / "flights.sink-1.json").read_text())
    [{"targets":["127.0.0.1:9465"],"labels":{"pipeline":"flights","role":"sink","instance":"sink-1"}}]
    >>> list((home / "prometheus" / "targets").iterdir())
    []
    """
    labels = {"pipeline": target.pipeline, "role": target.role, "instance": target.instance}
    said = msgspec.json.encode([{"targets": [f"127.0.0.1:{port}"], "labels": labels}])
    path = folder(home) / "targets" / target.file
    try:
        _write(path, said)
    except OSError as error:  # a full disk, say: no reason not to work
        _log.warning("Prometheus cannot find %s: %s", target.instance, error)
    yield
    if path.exists() and path.read_bytes() == said:  # else a successor of ours has written it
        path.unlink(missing_ok=True)


def _write(path: Path, said: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(f".{os.getpid()}")  # Prometheus reads *.json alone
    whole.write_bytes(said)
    whole.replace(path)
