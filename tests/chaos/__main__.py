"""``make chaos``: kill, stop and cut off everything at random, by seed, and see that nothing comes of it."""

from __future__ import annotations

import secrets
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from tests.chaos.run import Chaos, run

SOAK_MINUTES = 2.0
EVERY_S, EVERY_S_IN_A_SOAK = 2.5, 5.0
"""A fault every so many seconds. What lasts need not be crowded: every kind comes often enough."""

EVENTS_LEAST = 100_000
EVENTS_PER_MINUTE = 10_000
"""Of a soak: what it is compared with is stepped through in minutes then, and an hour fits on a small disk."""


def main(
    minutes: Annotated[float, typer.Option(help="How long faults are injected.")] = 1.25,
    seed: Annotated[int | None, typer.Option(help="Which faults and which records; none: another each time.")] = None,
    events: Annotated[int | None, typer.Option(help="Events to publish, with their labels.")] = None,
    workers: Annotated[int, typer.Option(help="Worker processes, each behind a proxy.")] = 3,
    out: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("build/chaos.json"),
    keep: Annotated[Path | None, typer.Option(help="A new folder to leave topics, logs and files in.")] = None,
) -> None:
    """Compare a run under chaos with an undisturbed one. Ends with 1 unless they are equal."""
    signal.signal(signal.SIGTERM, _leave)
    seed = secrets.randbelow(100_000) if seed is None else seed
    events = max(EVENTS_LEAST, round(minutes * EVENTS_PER_MINUTE)) if events is None else events
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        every_s = EVERY_S if minutes < SOAK_MINUTES else EVERY_S_IN_A_SOAK
        report = run(Chaos(seed, minutes * 60, events, (keep or Path(scratch)).resolve(), workers, every_s))
    report.write(out)
    Console().print(report.table())
    if not report.nothing_happened:
        Console().print(f"again: make chaos SEED={seed} MINUTES={minutes:g}", style="red")
        raise typer.Exit(1)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Leave by way of every ``finally``, so that nothing started here is left running or stopped."""
    sys.exit(143)


if __name__ == "__main__":
    typer.run(main)
