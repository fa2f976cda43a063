"""What people read of costs and plans."""

from __future__ import annotations

import io

from msgspec.structs import replace
from rich.console import Console

from infra.bench.plan import Assumed, plan
from infra.bench.shown import shown, warnings
from tests.infra.bench.test_plan import COSTS


def text(costs, *rates: float) -> str:
    console = Console(width=100, file=io.StringIO())
    console.print(shown(costs, [plan(costs, rate) for rate in rates], Assumed()))
    return " ".join(console.file.getvalue().split())


def test_costs_plans_limits_and_assumptions_are_told():
    told = text(replace(COSTS, hottest_key=0.01), 10_000, 1_000_000)
    for part in (
        "│ one task, a backlog │ 9,000 events/s",
        "p50 20 ms, p99 60 ms",
        "│ partitions │ 4 │ 400 │",
        "at 1,000,000 events/s: the hottest key has 1.00% of the events, 1.0 times what one task works off",
        "Assumed: 50% busy workers",
    ):
        assert part in told


def test_what_makes_the_figures_worth_less_is_told():
    assert not list(warnings(COSTS))
    busy, rejected = warnings(replace(COSTS, others_cores=0.7, rejected=0.2))
    assert "Other processes kept 0.7 of" in busy
    assert "20% of the records were rejected" in rejected


def test_names_are_text_and_style_nothing():
    assert "[red]" in text(replace(COSTS, pipeline="[red]"), 100)
