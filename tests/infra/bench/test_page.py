"""docs/capacity.md holds what infra/bench/costs.json gives."""

from __future__ import annotations

import re

from infra.bench.measure import state_growth
from infra.bench.page import FOLDER, PAGE, PROBLEMS, load, rewritten
from infra.bench.plan import load_of
from infra.bench.queueing import simulate
from infra.bench.stream import MadeUp
from streams.pipeline import load_pipeline


def test_the_tables_of_the_page_are_made_from_the_costs():
    page = PAGE.read_text()
    assert rewritten(page, load()) == page, "`python -m infra.bench.page` writes them"
    assert len(re.findall(r"<!-- made: ", page)) == 9


def test_each_problem_was_measured():
    found = load()
    assert found.problems.keys() == PROBLEMS.keys()
    for costs in found.problems.values():
        assert costs.rejected == 0
        assert 0.5 < costs.others_per_event[-1] < 1.5, "labels"
        assert costs.seen_per_s <= costs.events_per_s


def test_the_simulation_is_roughly_right_where_checkpoints_are_small():
    for costs in load().problems.values():
        if costs.state_bytes < 1e7:
            simulated = simulate(load_of(costs, costs.steady_rate)).p50_ms
            assert costs.p50_ms / 4 < simulated < 4 * costs.p50_ms, costs.pipeline


def test_what_a_state_grows_by_is_found_without_a_broker():
    pipeline = load_pipeline(FOLDER / "problems" / "bench_logistic.py")
    waiting, kept = state_growth(pipeline, MadeUp(pipeline, 100, 100, 1_700_000_000_000))
    assert 40 < waiting < 200, "a name, a key, three features, a prediction"
    assert 8 < kept < 60, "a name and a label"
