"""Rules and dashboard are sound: promtool takes them, each alert has a test, and what they ask for is exposed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from prometheus_client import Counter, Histogram
from typer.testing import CliRunner

from infra.cli import app
from infra.prometheus.files import NAMES
from infra.telemetry import METRICS
from tests.infra.prometheus.packaged import ALERTS, DASHBOARD, EXPRESSIONS, NAMED, RECORDED, RULES, UNIT_TESTS
from tests.infra.prometheus.scraping import needed

ROOT = Path(__file__).parents[3]


def promtool(*arguments: str | Path) -> str:
    """What promtool says; an error if it finds a fault."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def exposed() -> set[str]:
    """The names of all series that our processes serve."""
    names: set[str] = set()
    for name, metric in METRICS.items():
        ends = {Counter: ("_total", "_created"), Histogram: ("_bucket", "_sum", "_count", "_created")}
        names |= {f"riverrun_{name}{end}" for end in ends.get(metric.kind, ("",))}
    return names


@needed
def test_promtool_takes_configuration_and_rules_as_the_command_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIVERRUN_HOME", str(tmp_path / "my data"))
    done = CliRunner().invoke(app, ["prometheus"])
    assert done.exit_code == 0, done.output
    program, config, *_ = shlex.split(done.stdout)
    assert program == "prometheus"
    said = promtool("check", "config", config.removeprefix("--config.file="))
    assert f"SUCCESS: {len(NAMED)} rules found" in said
    assert f"SUCCESS: {len(RECORDED)} rules found" in said


@needed
@pytest.mark.parametrize("tests", UNIT_TESTS, ids=lambda path: path.stem)
def test_the_rules_pass_their_unit_tests(tests: Path) -> None:
    promtool("test", "rules", tests)


def test_each_alert_has_a_unit_test_in_which_it_is_raised_and_one_in_which_it_is_not() -> None:
    text = "".join(path.read_text() for path in UNIT_TESTS)
    tests = re.findall(r"alertname: (\w+)\n( +exp_alerts:)?", text)
    assert {name for name, raised in tests if raised} == set(NAMED)
    assert {name for name, raised in tests if not raised} == set(NAMED)


def test_each_alert_has_a_section_in_the_runbook_which_it_links_to_and_no_other_has() -> None:
    titles = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert titles == NAMED, "in the order of the rules"
    links = re.findall(r"^ +runbook_url: (\S+)$", ALERTS, re.MULTILINE)
    assert links == [f"docs/runbook.md#{name.lower()}" for name in NAMED]


def test_rules_and_dashboard_ask_for_what_our_processes_expose_or_a_rule_records() -> None:
    expressions = re.sub(
        r"^ *(#|- record:|- alert:|- name:|summary:|description:|runbook_url:).*$", "", RULES, flags=re.M
    )
    expressions += "\n".join(EXPRESSIONS)
    named = set(re.findall(r"(?<![\w:])(?:\w+:)?riverrun_\w+(?::\w+)?", expressions))
    assert len(named) > 40
    assert not named - exposed() - set(RECORDED)


def test_each_recording_rule_is_of_use() -> None:
    used = "\n".join([ALERTS, *EXPRESSIONS]) + "\n".join(re.findall(r"^ +(?!- record).*$", RULES, re.MULTILINE))
    assert not [name for name in RECORDED if name not in used]


@needed
def test_the_expressions_of_the_dashboard_are_promql(tmp_path: Path) -> None:
    rules = [{"record": f"expression{number}", "expr": each} for number, each in enumerate(EXPRESSIONS)]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # JSON is YAML
    assert f"SUCCESS: {len(EXPRESSIONS)} rules found" in promtool("check", "rules", file)


def test_panels_of_the_dashboard_have_a_number_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (place["x"] + x, place["y"] + y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["w"])
        for y in range(place["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


def test_an_installed_riverrun_has_the_files(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        assert {f"infra/prometheus/{name}" for name in NAMES} <= set(packed.namelist())
