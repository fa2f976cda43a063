"""What the issue asks for, beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from benchmarks.contenders import CONTENDERS
from benchmarks.sections import memory, recovery
from benchmarks.sections.saturation import overhead, ratio
from benchmarks.tables import Raw, Tabled, median, rates

Found = dict[str, list[Raw]]
SAVING = [name for name, each in CONTENDERS.items() if each.peer]
"""Contenders that keep the state of their model."""


class Target(NamedTuple):
    """A figure, and what it should be at the least, or at the most."""

    what: str
    bound: float
    measured: Callable[[Found], float | None]
    at_most: bool = False


def _of_bare(*workloads: str) -> Callable[[Found], float | None]:
    def worst(found: Found) -> float | None:
        raws = found.get("saturation", [])
        return _least(ratio(raws, name, "riverrun", "bare") for name in workloads)

    return worst


def _ahead_of(*contenders: str) -> Callable[[Found], float | None]:
    def worst(found: Found) -> float | None:
        raws = found.get("saturation", [])
        workloads = dict.fromkeys(raw["workload"] for raw in raws)
        return _least(ratio(raws, name, "riverrun", other) for name in workloads for other in contenders)

    return worst


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _over_floor(found: Found) -> float | None:
    raws = found.get("saturation", [])
    each = [overhead(raws, name) for name in dict.fromkeys(raw["workload"] for raw in raws)]
    return max(((ours - model) / floor for ours, model, floor in filter(None, each)), default=None)


def _at_half_load(field: str) -> Callable[[Found], float | None]:
    def worst(found: Found) -> float | None:
        raws = found.get("latency", [])
        ours = [raw[field] for raw in raws if raw["contender"] == "riverrun" and raw["share"] == 0.5]
        return max((value for value in ours if value is not None), default=None)

    return worst


def _recovery(found: Found) -> float | None:
    ours = [raw["seconds"] for raw in found.get("recovery", []) if raw["replay_max_s"] == recovery.DEFAULT]
    return max(ours, default=None)


def _sink(found: Found) -> float | None:
    return median(rates(found.get("sink", []), "cpu_s"))


def _help(found: Found) -> float | None:
    return median(raw["seconds"] for raw in found.get("startup", []) if raw["what"] == "riverrun --help")


TARGETS = [
    Target("forest, of the bare loop", 0.95, _of_bare("forest-3", "forest-20")),
    Target("tree, 20 features, of the bare loop", 0.8, _of_bare("tree-20")),
    Target("tree, 3 features, of the bare loop", 0.6, _of_bare("tree-3")),
    Target("logistic regression, 3 features, of the bare loop", 0.45, _of_bare("logistic-3")),
    Target("flights, of the bare loop", 0.85, _of_bare("flights")),
    Target("overhead an event, of the floor", 1.3, _over_floor, at_most=True),
    Target("speed, of the best that keeps its model", 1.0, _ahead_of(*SAVING)),
    Target("speed, of the plain loop that does not", 1.0, _ahead_of("loop")),
    Target("latency p50 at half load, ms", 15, _at_half_load("p50_ms"), at_most=True),
    Target("latency p99 at half load, ms", 50, _at_half_load("p99_ms"), at_most=True),
    Target("CPU an event at the end, of that at the start", 1.1, lambda found: memory.flatness(_memory(found)), True),
    Target("recovery with the default span, s", 5, _recovery, at_most=True),
    Target("sink, rows a CPU second", 200_000, _sink),
    Target("riverrun --help, s", 0.3, _help, at_most=True),
]
"""Where several workloads count, the worst of them."""


def _memory(found: Found) -> list[Raw]:
    return found.get("memory", [])


def against_targets(found: Found) -> Tabled:
    """Target, measured, met."""
    rows = []
    for target in TARGETS:
        value = target.measured(found)
        bound = f"{'≤' if target.at_most else '≥'} {target.bound:,g}"
        met = "–" if value is None else "yes" if (value <= target.bound) == target.at_most else "no"
        rows.append([target.what, bound, "not measured" if value is None else f"{value:,.3g}", met])
    return Tabled("Against the targets", ["what", "target", "measured", "met"], rows)
