"""Scores as sums and counts, so that those of two tasks or two periods add up to exactly those of both.

A binary score keeps a histogram of P(True) for each label (1,024 bins): the confusion matrix at 0.5 follows from it
exactly, the area under the ROC curve to within half the weight of the pairs that share a bin.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from models.learner import Kind, Label, Prediction

BINS = 1024
"""Bins of the histogram of P(True). Even, so that 0.5 is a boundary; a power of two, so that p * BINS is exact."""

LOG_LOSS_MAX = -math.log(1e-15)
"""Log loss of a label that was called impossible: probabilities are kept away from 0 and 1 by 1e-15."""


class Values(NamedTuple):
    """Scores worked out from counts; None where undefined. Errors are in the label's own unit."""

    n: int
    accuracy: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    auc: float | None = None
    log_loss: float | None = None
    mae: float | None = None
    rmse: float | None = None
    r2: float | None = None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _f1(precision: float | None, recall: float | None) -> float | None:
    if precision is None or recall is None:
        return None
    return _ratio(2 * precision * recall, precision + recall) or 0.0


def _loss(probability: float) -> float:
    return -math.log(probability) if probability > 1e-15 else LOG_LOSS_MAX


class BinaryScore:
    """How well P(True) foretold a bool.

    Examples
    --------
    >>> score = BinaryScore()
    >>> for label, p in [(True, 0.9), (False, 0.2), (True, 0.4), (False, 0.1)]:
    ...     score.update(label, Prediction(p >= 0.5, p))
    >>> values = score.values()
    >>> values.accuracy, values.precision, values.recall, values.auc
    (0.75, 1.0, 0.5, 1.0)
    """

    def __init__(self) -> None:
        self.histogram = np.zeros((2, BINS), dtype=np.int64)
        """Counts by label (False, True) and bin of P(True); int64, shape (2, BINS)."""
        self.log_loss_sum = 0.0

    def update(self, label: Label, prediction: Prediction) -> None:
        """Add one outcome."""
        p = prediction.probability
        assert p is not None
        self.histogram[1 if label else 0, min(int(p * BINS), BINS - 1)] += 1
        self.log_loss_sum += _loss(p if label else 1.0 - p)

    def merge(self, other: BinaryScore) -> None:
        """Add all of another score's outcomes."""
        self.histogram += other.histogram
        self.log_loss_sum += other.log_loss_sum

    @property
    def n(self) -> int:
        """How many outcomes."""
        return int(self.histogram.sum())

    def confusion(self) -> dict[tuple[str, str], int]:
        """(label, prediction) -> how often, at the threshold 0.5."""
        below, above = self.histogram[:, : BINS // 2].sum(axis=1), self.histogram[:, BINS // 2 :].sum(axis=1)
        cells = {("false", "false"): below[0], ("false", "true"): above[0]}
        cells |= {("true", "false"): below[1], ("true", "true"): above[1]}
        return {cell: int(count) for cell, count in cells.items() if count}

    def values(self) -> Values:
        """The scores so far."""
        table = Counter(self.confusion())
        tp, fp = table["true", "true"], table["false", "true"]
        tn, fn = table["false", "false"], table["true", "false"]
        n = tp + fp + tn + fn
        precision, recall = _ratio(tp, tp + fp), _ratio(tp, tp + fn)
        return Values(
            n, _ratio(tp + tn, n), precision, recall, _f1(precision, recall), self._auc(), _ratio(self.log_loss_sum, n)
        )

    def _auc(self) -> float | None:
        """Chance that a positive was given a higher P(True) than a negative; ties within a bin count half."""
        negatives, positives = self.histogram
        below = np.cumsum(negatives) - negatives
        wins = float(positives @ (2 * below + negatives)) / 2
        return _ratio(wins, float(negatives.sum()) * float(positives.sum()))

    def sparse(self) -> tuple[list[int], list[int], list[int]]:
        """The bins in use, and the counts of negatives and of positives in them."""
        used = np.flatnonzero(self.histogram.any(axis=0))
        return used.tolist(), self.histogram[0, used].tolist(), self.histogram[1, used].tolist()

    def __getstate__(self) -> tuple[Any, ...]:
        return (*self.sparse(), self.log_loss_sum)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        bins, negatives, positives, self.log_loss_sum = state
        self.histogram = np.zeros((2, BINS), dtype=np.int64)
        self.histogram[:, bins] = negatives, positives


@dataclass(slots=True)
class MulticlassScore:
    """How well a class was foretold. Precision, recall and F1 are macro averages over the classes seen as labels.

    Examples
    --------
    >>> score = MulticlassScore()
    >>> score.update("a", Prediction("a", None, {"a": 0.8, "b": 0.2}))
    >>> score.update("b", Prediction("a", None, {"a": 0.6, "b": 0.4}))
    >>> score.values().accuracy, score.values().recall
    (0.5, 0.5)
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    log_loss_sum: float = 0.0

    def update(self, label: Label, prediction: Prediction) -> None:
        """Add one outcome. No class predicted counts as the class ""."""
        self.counts[str(label), "" if prediction.value is None else str(prediction.value)] += 1
        self.log_loss_sum += _loss((prediction.probabilities or {}).get(str(label), 0.0))

    def merge(self, other: MulticlassScore) -> None:
        """Add all of another score's outcomes."""
        self.counts.update(other.counts)
        self.log_loss_sum += other.log_loss_sum

    @property
    def n(self) -> int:
        """How many outcomes."""
        return self.counts.total()

    def confusion(self) -> dict[tuple[str, str], int]:
        """(label, prediction) -> how often."""
        return dict(sorted(self.counts.items()))

    def values(self) -> Values:
        """The scores so far."""
        n = self.counts.total()
        by_label: Counter[str] = Counter()
        by_prediction: Counter[str] = Counter()
        for (label, predicted), count in self.counts.items():
            by_label[label] += count
            by_prediction[predicted] += count
        classes = sorted(by_label)
        hits = {c: self.counts[c, c] for c in classes}
        precisions = [_ratio(hits[c], by_prediction[c]) or 0.0 for c in classes]
        recalls = [hits[c] / by_label[c] for c in classes]
        f1s = [_f1(p, r) or 0.0 for p, r in zip(precisions, recalls, strict=True)]
        return Values(
            n,
            accuracy=_ratio(sum(hits.values()), n),
            precision=_ratio(sum(precisions), len(classes)),
            recall=_ratio(sum(recalls), len(classes)),
            f1=_ratio(sum(f1s), len(classes)),
            log_loss=_ratio(self.log_loss_sum, n),
        )


OTHERS = "(others)"


def folded(cells: Mapping[tuple[str, str], int], kept_max: int) -> dict[tuple[str, str], int]:
    """A confusion matrix with the ``kept_max`` most frequent classes by name, and all others as one.

    What was right stays right and what was wrong stays wrong: a rare class taken for another rare one becomes a class
    that is not told ("").

    >>> cells = {("a", "a"): 9, ("b", "b"): 1, ("b", "c"): 2, ("c", "a"): 1}
    >>> folded(cells, kept_max=1)
    {('(others)', ''): 2, ('(others)', '(others)'): 1, ('(others)', 'a'): 1, ('a', 'a'): 9}
    """
    weights: Counter[str] = Counter()
    for (label, predicted), count in cells.items():
        weights[label] += count
        weights[predicted] += count
    kept = {*sorted(weights, key=lambda name: (-weights[name], name))[:kept_max], ""}
    fold: Counter[tuple[str, str]] = Counter()
    for (label, predicted), count in cells.items():
        short = tuple(name if name in kept else OTHERS for name in (label, predicted))
        fold[(OTHERS, "") if short == (OTHERS, OTHERS) and label != predicted else short] += count  # type: ignore[index]
    return dict(sorted(fold.items()))


@dataclass(slots=True)
class RegressionScore:
    """How far off a number was foretold.

    Examples
    --------
    >>> score = RegressionScore()
    >>> for label, guess in [(1.0, 2.0), (3.0, 3.0), (5.0, 4.0)]:
    ...     score.update(label, Prediction(guess))
    >>> round(score.values().mae, 3), round(score.values().r2, 3)
    (0.667, 0.75)
    """

    n: int = 0
    abs_error_sum: float = 0.0
    squared_error_sum: float = 0.0
    label_sum: float = 0.0
    label_spread: float = 0.0
    """Squared distances of the labels from their mean, added up. (The difference of two large sums would be noise.)"""

    def update(self, label: Label, prediction: Prediction) -> None:
        """Add one outcome."""
        y, guess = float(label), prediction.value
        assert isinstance(guess, float)
        self._spread(1, y, 0.0)
        self.n += 1
        error = y - guess
        self.abs_error_sum += abs(error)
        self.squared_error_sum += error * error  # infinite where `** 2` would raise
        self.label_sum += y

    def merge(self, other: RegressionScore) -> None:
        """Add all of another score's outcomes."""
        self._spread(other.n, other.label_sum, other.label_spread)
        self.n += other.n
        self.abs_error_sum += other.abs_error_sum
        self.squared_error_sum += other.squared_error_sum
        self.label_sum += other.label_sum

    def _spread(self, n: int, label_sum: float, label_spread: float) -> None:
        """Take in the spread of others: their own, and that between the two means.

        References: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances",
        COMPSTAT 1982.
        """
        if n and self.n:
            apart = label_sum / n - self.label_sum / self.n
            self.label_spread += label_spread + apart * apart * (n * self.n / (n + self.n))
        else:
            self.label_spread += label_spread

    def confusion(self) -> dict[tuple[str, str], int]:
        """Numbers have none."""
        return {}

    def values(self) -> Values:
        """The scores so far."""
        if not self.n:
            return Values(0)
        r2 = 1 - self.squared_error_sum / self.label_spread if self.label_spread > 0 else None
        return Values(
            self.n,
            mae=self.abs_error_sum / self.n,
            rmse=math.sqrt(self.squared_error_sum / self.n),
            r2=r2 if r2 is not None and math.isfinite(r2) else None,
        )


Score = BinaryScore | MulticlassScore | RegressionScore

_OF_KIND: dict[Kind, type[Score]] = {
    "binary": BinaryScore,
    "multiclass": MulticlassScore,
    "regression": RegressionScore,
}


def new_score(kind: Kind) -> Score:
    """An empty score for this kind of target."""
    return _OF_KIND[kind]()
