"""What was asked for on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from benchmarks.contenders import CONTENDERS
from benchmarks.tables import Raw
from benchmarks.workload import NAMES

T = TypeVar("T")
SHORT = 0.015


class Options(NamedTuple):
    """Of all sections."""

    scale: float = 1.0
    repeats: int = 3
    workloads: Sequence[str] = NAMES
    contenders: Sequence[str] = tuple(CONTENDERS)
    saturated: Sequence[Raw] = ()
    """Runs of the section `saturation`, if it came before."""

    def events(self, usual: int, least: int = 2_400) -> int:
        """How many, at this scale."""
        return max(int(usual * self.scale), least)

    def seconds(self, usual: float, least: float = 2.0) -> float:
        """How long, at this scale."""
        return max(min(usual, usual * self.scale), least)

    def few(self, each: Sequence[T], count: int = 2) -> Sequence[T]:
        """All of these; in a short run, which shows that it works and not how fast, the first few."""
        return each if self.scale >= SHORT else each[:count]

    def only(self, *workloads: str) -> list[str]:
        """Those of these workloads that were asked for; the first of them if none was."""
        return [name for name in workloads if name in self.workloads] or [workloads[0]]
