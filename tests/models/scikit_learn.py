"""Outcomes that are drawn by seed, and what scikit-learn says of them: independent eyes on our scores.

Its words are kept in ``scikit_learn.json``, as it is not installed here: River imports it wherever it is, which takes
each worker 0.4 s. To ask again: ``uv run --no-project --with scikit-learn tests/models/scikit_learn.py``.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

SEEDS = range(5)
NAMES = ["air", "rail", "road", "sea"]
SAID = Path(__file__).with_suffix(".json")


def binary_outcomes(seed: int) -> tuple[list[bool], list[float]]:
    """Labels, and probabilities of true."""
    draw = random.Random(seed)
    labels = [draw.random() < 0.3 for _ in range(3_000)]
    return labels, [min(max(draw.gauss(0.6 if label else 0.4, 0.2), 1e-6), 1 - 1e-6) for label in labels]


def tied_outcomes(seed: int) -> tuple[list[bool], list[float]]:
    """Labels, and probabilities that are often the same."""
    draw = random.Random(seed)
    labels = [draw.random() < 0.5 for _ in range(1_000)]
    return labels, [draw.randrange(11) / 10 for _ in labels]


def multiclass_outcomes(seed: int) -> tuple[list[str], list[list[float]]]:
    """Labels, and a probability for each name; "sea" is predicted but never true."""
    draw = random.Random(seed)
    labels = [draw.choice(NAMES[:3]) for _ in range(500)]
    said = [[draw.random() + (name == label) for name in NAMES] for label in labels]
    return labels, [[p / sum(row) for p in row] for row in said]


def regression_outcomes(seed: int) -> tuple[list[float], list[float]]:
    """Labels, and guesses."""
    draw = random.Random(seed)
    labels = [draw.gauss(100, 30) for _ in range(500)]
    return labels, [label + draw.gauss(2, 10) for label in labels]


def said_of(kind: str, seed: int) -> dict[str, float]:
    """What scikit-learn said of these outcomes, by score."""
    scores: dict[str, float] = json.loads(SAID.read_text())[kind][seed]
    return scores


def _ask() -> None:
    from sklearn import metrics

    said: dict[str, list[dict[str, float]]] = {"binary": [], "tied": [], "multiclass": [], "regression": []}
    for seed in SEEDS:
        labels, p = binary_outcomes(seed)
        called = [each >= 0.5 for each in p]
        said["binary"].append(
            {
                "accuracy": metrics.accuracy_score(labels, called),
                "precision": metrics.precision_score(labels, called),
                "recall": metrics.recall_score(labels, called),
                "f1": metrics.f1_score(labels, called),
                "log_loss": metrics.log_loss(labels, p),
                "auc": metrics.roc_auc_score(labels, p),
            }
        )
        said["tied"].append({"auc": metrics.roc_auc_score(*tied_outcomes(seed))})
        names, rows = multiclass_outcomes(seed)
        best = [NAMES[row.index(max(row))] for row in rows]
        macro = {"labels": NAMES[:3], "average": "macro", "zero_division": 0}
        said["multiclass"].append(
            {
                "accuracy": metrics.accuracy_score(names, best),
                "precision": metrics.precision_score(names, best, **macro),
                "recall": metrics.recall_score(names, best, **macro),
                "f1": metrics.f1_score(names, best, **macro),
                "log_loss": metrics.log_loss(names, rows, labels=NAMES),
            }
        )
        numbers, guesses = regression_outcomes(seed)
        said["regression"].append(
            {
                "mae": metrics.mean_absolute_error(numbers, guesses),
                "rmse": metrics.root_mean_squared_error(numbers, guesses),
                "r2": metrics.r2_score(numbers, guesses),
            }
        )
    SAID.write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    _ask()
