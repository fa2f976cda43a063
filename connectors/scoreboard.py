"""Scores of a pipeline's models, worked out exactly from all outcomes in the warehouse."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from connectors.warehouse import query
from models.learner import Kind


class ModelScore(NamedTuple):
    """One model's scores over the outcomes asked for; None where undefined or of another kind of target."""

    model: str
    role: str
    n: int
    auc: float | None = None
    accuracy: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    log_loss: float | None = None
    mae: float | None = None
    rmse: float | None = None
    r2: float | None = None


_BINARY = """
WITH scored AS (
  SELECT model, role, label, prediction, greatest(least(probability, 1 - 1e-15), 1e-15) AS p, probability
  FROM outcomes WHERE status = 'scored' AND event_time >= TIMESTAMPTZ '{since}'
), ranked AS (  -- ties share their mean rank, as in the Mann-Whitney U statistic
  SELECT *, rank() OVER (PARTITION BY model ORDER BY probability)
    + (count(*) OVER (PARTITION BY model, probability) - 1) / 2.0 AS place
  FROM scored
), counted AS (
  SELECT model, any_value(role) AS role, count(*) AS n, count_if(label) AS positives,
    sum(place) FILTER (label) AS places, count_if(label AND prediction) AS hits, count_if(prediction) AS alarms,
    avg((label = prediction)::INT) AS accuracy, -avg(ln(CASE WHEN label THEN p ELSE 1 - p END)) AS log_loss
  FROM ranked GROUP BY model
)
SELECT model, role, n,
  (places - positives * (positives + 1) / 2.0) / nullif(positives::DOUBLE * (n - positives), 0) AS auc, accuracy,
  hits / nullif(alarms, 0) AS precision, hits / nullif(positives, 0) AS recall,
  2.0 * hits / nullif(alarms + positives, 0) AS f1, log_loss
FROM counted ORDER BY {order}
"""
_MULTICLASS = """
SELECT model, any_value(role) AS role, count(*) AS n, avg((label = prediction)::INT) AS accuracy
FROM outcomes WHERE status = 'scored' AND event_time >= TIMESTAMPTZ '{since}' GROUP BY model ORDER BY {order}
"""
_REGRESSION = """
SELECT model, any_value(role) AS role, count(*) AS n, avg(abs(label - prediction)) AS mae,
  sqrt(avg((label - prediction) ** 2)) AS rmse, 1 - avg((label - prediction) ** 2) / nullif(var_pop(label), 0) AS r2
FROM outcomes WHERE status = 'scored' AND event_time >= TIMESTAMPTZ '{since}' GROUP BY model ORDER BY {order}
"""
_ROLES_FIRST = "CASE any_value(role) WHEN 'champion' THEN 0 WHEN 'challenger' THEN 1 ELSE 2 END, model"
_SQL: dict[Kind, str] = {"binary": _BINARY, "multiclass": _MULTICLASS, "regression": _REGRESSION}


def scoreboard(root: Path, kind: Kind, since: datetime) -> list[ModelScore]:
    """Each model's scores over the events from ``since`` (with a time zone) on: the champion first, then by role.

    ``root`` is the folder of the pipeline's Parquet files.
    """
    order = _ROLES_FIRST.replace("any_value(role)", "role") if kind == "binary" else _ROLES_FIRST
    table = query(root, _SQL[kind].format(since=since.isoformat(), order=order))
    return [ModelScore(**row) for row in table.to_pylist()]
