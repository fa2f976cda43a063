"""``riverrun bench`` as people type it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path("infra/bench/problems/bench_logistic.py")
RIVERRUN = Path(sys.executable).parent / "riverrun"


def run(tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """With settings of a cluster and a store that must not be touched."""
    settings = {
        "RIVERRUN_HOME": str(tmp_path / "home"),
        "RIVERRUN_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "RIVERRUN_SECURITY_PROTOCOL": "SASL_SSL",
        "RIVERRUN_CHECKPOINTS": str(tmp_path / "checkpoints"),
        "COLUMNS": "160",
    }
    command = [RIVERRUN, "bench", *arguments]
    return subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False, timeout=110)


@pytest.mark.broker
def test_it_measures_and_plans_and_touches_nothing_of_the_user(tmp_path):
    done = run(tmp_path, FILE, "--rate", "100", "--rate", "1000000", "--seconds", "2", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    costs, (small, large) = found["costs"], found["plans"]
    assert costs["pipeline"] == "bench_logistic"
    assert 200 < costs["seen_per_s"] <= costs["events_per_s"] < 1e6
    assert 1 < costs["p50_ms"] <= costs["p99_ms"]
    assert costs["rejected"] == 0
    assert 30 < costs["bytes_in"] < 1_000
    assert 30 < costs["bytes_out"] < 2_000
    assert costs["state_bytes"] > 1_000
    assert (small["partitions"], small["workers"]) == (1, 1)
    assert large["workers"] > 5
    assert large["partitions"] == 2 * large["workers"]
    assert not list(tmp_path.iterdir()), "neither the home nor the checkpoints of the settings"


@pytest.mark.broker
def test_records_that_are_all_rejected_are_no_measurement(tmp_path):
    for topic in ("bench_logistic-events", "bench_logistic-labels"):
        lines = [{"id": f"p{n}", "key": "k", "at": f"2026-03-01T09:{n // 60:02}:{n % 60:02}Z"} for n in range(600)]
        (tmp_path / f"{topic}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = run(tmp_path, FILE, "--records", tmp_path, "--seconds", "1")
    assert done.returncode == 2
    assert "no event was predicted on" in done.stderr
    assert "rejected as schema" in done.stderr


def test_a_file_that_is_missing_is_named(tmp_path):
    done = run(tmp_path, "none.py")
    assert done.returncode == 2
    assert "error: there is no such Python file (none.py)" in done.stderr


def test_a_field_that_cannot_be_made_up_is_named_before_anything_starts(tmp_path):
    text = FILE.read_text().replace("    x: float", '    x: Annotated[str, Meta(pattern="^a+$")]')
    text = text.replace("from river", "from typing import Annotated\n\nfrom msgspec import Meta\nfrom river")
    (tmp_path / "coded.py").write_text(text)
    done = run(tmp_path, tmp_path / "coded.py")
    assert done.returncode == 2
    assert "no values can be made up for Shown.x: text that matches '^a+$'" in done.stderr
    assert "--records FOLDER" in done.stderr
