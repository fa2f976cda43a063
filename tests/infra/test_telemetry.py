"""What is counted is declared, documented, and seen by a scrape."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from infra.telemetry import METRICS, PrometheusTelemetry

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations.md"
CALLS = {"count": "counter", "gauge": "gauge", "observe": "histogram", "observe_all": "histogram"}


def row(name: str) -> str:
    """The metric's row in the page."""
    metric = METRICS[name]
    kind = metric.kind.__name__.lower()
    shown = f"riverrun_{name}{'_total' if kind == 'counter' else ''}"
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{shown}` | {kind} | {labels} | {metric.help} |".replace("|  |", "| |")


def emitted() -> set[tuple[str, str]]:
    """(name, kind) of all that the code counts, sets and observes."""
    found: set[tuple[str, str]] = set()
    for room in ("streams", "connectors", "infra"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
                    owner = ast.unparse(node.func.value)
                    if owner.endswith(("telemetry", "tell")):
                        assert isinstance(node.args[0], ast.Constant), f"{path}: the name of a metric is a literal"
                        found.add((str(node.args[0].value), CALLS[node.func.attr]))
    return found


def test_what_is_counted_is_what_is_declared() -> None:
    assert emitted() == {(name, metric.kind.__name__.lower()) for name, metric in METRICS.items()}


def test_the_page_lists_each_metric_as_it_is_declared_and_no_other() -> None:
    rows = re.findall(r"^\| `riverrun_.*$", PAGE.read_text(), re.MULTILINE)
    assert rows == [row(name) for name in METRICS]


@pytest.mark.parametrize("name", METRICS)
def test_a_scrape_sees_each_metric(name: str) -> None:
    metric, telemetry = METRICS[name], PrometheusTelemetry("flights")
    labels = dict.fromkeys(metric.labels, "x")
    tell = {"Counter": telemetry.count, "Gauge": telemetry.gauge, "Histogram": telemetry.observe}
    if metric.batched:
        telemetry.observe_all(name, [3.0])
    else:
        tell[metric.kind.__name__](name, 3.0, **labels)
    with urlopen(f"http://127.0.0.1:{telemetry.serve(0)}/metrics", timeout=10) as answer:
        families = {family.name: family for family in text_string_to_metric_families(answer.read().decode())}
    family = families[f"riverrun_{name}"]
    assert (family.type, family.documentation) == (metric.kind.__name__.lower(), metric.help)
    (value,) = [sample for sample in family.samples if sample.name.endswith(("_total", "_sum", name))]
    assert (value.value, value.labels) == (3.0, {"pipeline": "flights", **labels})
    assert "process_cpu_seconds" in families
