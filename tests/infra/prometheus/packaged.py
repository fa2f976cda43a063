"""The files that riverrun brings for Prometheus and Grafana, read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

FILES = Path(__file__).parents[3] / "infra" / "prometheus"
ALERTS = (FILES / "rules" / "alerts.yml").read_text()
RULES = ALERTS + (FILES / "rules" / "recording.yml").read_text()
DASHBOARD = json.loads((FILES / "grafana" / "riverrun.json").read_text())
UNIT_TESTS = sorted((FILES / "rules" / "tests").glob("*.yml"))
NAMED = re.findall(r"^ +- alert: (\w+)$", ALERTS, re.MULTILINE)
RECORDED = re.findall(r"^ +- record: (\S+)$", RULES, re.MULTILINE)


def _asked(panel: dict[str, Any]) -> list[str]:
    """The expressions of a panel of the dashboard, with its variables filled in."""
    filled = [target["expr"].replace("$__rate_interval", "1m") for target in panel.get("targets", [])]
    return [expression.replace("$pipeline", ".*").replace("$score", "auc") for expression in filled]


EXPRESSIONS = [expression for panel in DASHBOARD["panels"] for expression in _asked(panel)]
