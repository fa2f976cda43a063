"""The bench in short: every section works and every contender has a figure. How large it is, is not looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench, targets
from benchmarks.tables import Raw

OURS = ("bare", "floor", "loop", "riverrun")
WORKLOADS = ("logistic-3", "flights")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a short run of everything but the peers has written."""
    folder: Path = tmp_path_factory.mktemp("bench")
    given = ["--scale", "0.002", "--repeats", "1", "--out", str(folder)]
    chosen = ["--workloads", ",".join(WORKLOADS), "--contenders", ",".join(OURS)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench", *given, *chosen], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]
    return folder


@pytest.fixture(scope="module")
def found(out: Path) -> dict[str, list[Raw]]:
    """Section -> its raw runs."""
    kept: dict[str, Any] = json.loads((out / "bench.json").read_text())
    sections: dict[str, list[Raw]] = kept["sections"]
    return sections


@pytest.mark.broker
@pytest.mark.timeout(600)
def test_every_section_has_runs_and_says_on_what_they_ran(out: Path, found: dict[str, list[Raw]]) -> None:
    assert set(found) == set(bench.SECTIONS)
    assert all(found.values())
    about = json.loads((out / "bench.json").read_text())["about"]
    assert {"date", "commit", "cores", "processor", "python", "kafka", "river", "peers", "arguments"} <= set(about)


@pytest.mark.broker
def test_every_contender_has_a_figure_for_each_workload(found: dict[str, list[Raw]]) -> None:
    made = {(raw["workload"], raw["contender"]) for raw in found["saturation"]}
    assert made == {(name, who) for name in WORKLOADS for who in OURS} - {("flights", "floor")}
    assert all(raw["all"] and raw["events"] > 0 and raw["seconds"] > 0 for raw in found["saturation"])


@pytest.mark.broker
def test_latencies_are_of_all_events_that_were_sent(found: dict[str, list[Raw]]) -> None:
    assert {raw["share"] for raw in found["latency"]} == {0.1, 0.5}
    assert all(0 < raw["p50_ms"] <= raw["p99_ms"] <= raw["p999_ms"] for raw in found["latency"])


@pytest.mark.broker
def test_a_worker_that_was_killed_predicts_again_and_rows_reach_the_files(found: dict[str, list[Raw]]) -> None:
    assert all(raw["seconds"] > 0 for raw in found["recovery"])
    assert all(raw["events"] >= 4 * 2_400 for raw in found["sink"]), "features, predictions, outcomes and two inputs"


@pytest.mark.broker
def test_the_markdown_has_every_table_and_the_targets(out: Path, found: dict[str, list[Raw]]) -> None:
    text = (out / "bench.md").read_text()
    titles = [table.title for name, raws in found.items() for table in bench.SECTIONS[name].tables(raws)]
    assert [title for title in [*titles, "Against the targets"] if f"### {title}\n" not in text] == []
    told = targets.against_targets(found).rows
    assert len(told) == len(targets.TARGETS)
    assert {row[3] for row in told} <= {"yes", "no", "–"}
