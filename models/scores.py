"""Scores as sums and counts, so that those of two tasks or two periods add up to exactly those of both.

Sums are integers: of log losses in units of 2**-24 nat, of numbers in quanta (models/exact.py). So neither the order of
outcomes nor how they were split shows in a score.

A binary score keeps a histogram of P(True) for each label (1,024 bins): the confusion matrix at 0.5 follows from it
exactly, the area under the ROC curve to within half the weight of the pairs that share a bin.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.exact import QUANTA, expansion, of_expansion, quanta, squares
from models.learner import Kind, Label, Prediction

BINS = 1024
"""Bins of the histogram of P(True). Even, so that 0.5 is a boundary; a power of two, so that p * BINS is exact."""

LOG_LOSS_MAX = -math.log(1e-15)
"""Log loss, in nats, of a label that was called impossible: probabilities are kept away from 0 and 1 by 1e-15."""

LOSS_UNITS = 2**24
"""Log losses are added up as whole numbers of units, so many of which make a nat: each is rounded to 3e-8 nat."""

_LOSS_FACTOR = -float(LOSS_UNITS)
_LOSS_UNITS_MAX = round(LOG_LOSS_MAX * LOSS_UNITS)

ERROR_MAX = 1e140
"""The largest error of a number that counts, so that squares of any number of them add up to a float.

No model of riverrun comes near it: see PREDICTION_MAX in models/learner.py.
"""

WAITING_MAX = 1_000
"""Outcomes that wait to be added up at once, as that is quicker."""


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


def _loss(probability: float) -> int:
    """The log loss of a label that was given this probability, in units.

    >>> _loss(0.5) / LOSS_UNITS, _loss(1.0)
    (0.6931471824645996, 0)
    """
    return round(log(probability) * _LOSS_FACTOR) if probability > 1e-15 else _LOSS_UNITS_MAX


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
        self._histogram = np.zeros((2, BINS), dtype=np.int64)
        self._log_loss_units = 0
        self._waiting = array("d")  # P(True), with a minus sign where the label is False; not yet counted

    @property
    def histogram(self) -> NDArray[np.int64]:
        """Counts by label (False, True) and bin of P(True); int64, shape (2, BINS)."""
        self._count()
        return self._histogram

    @property
    def log_loss_units(self) -> int:
        """The sum of the log losses, in units."""
        self._count()
        return self._log_loss_units

    def update(self, label: Label, prediction: Prediction) -> None:
        """Add one outcome."""
        p, waiting = prediction.probability, self._waiting
        assert p is not None
        waiting.append(p if label else -p)  # there is a -0.0, too
        if len(waiting) >= WAITING_MAX:
            self._count()

    def _count(self) -> None:
        """Count what waits. In which parts does not show."""
        if not self._waiting:
            return
        signed = np.frombuffer(self._waiting)
        label, p = ~np.signbit(signed), np.abs(signed)
        places = label * BINS + np.minimum((p * BINS).astype(np.int64), BINS - 1)
        self._histogram += np.bincount(places, minlength=2 * BINS).reshape(2, BINS)
        self._log_loss_units += sum(map(_loss, np.where(label, p, 1.0 - p).tolist()))
        self._waiting = array("d")

    def merge(self, other: BinaryScore) -> None:
        """Add all of another score's outcomes."""
        self._histogram += other.histogram
        self._log_loss_units += other.log_loss_units

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
            n,
            accuracy=_ratio(tp + tn, n),
            precision=precision,
            recall=recall,
            f1=_f1(precision, recall),
            auc=self._auc(),
            log_loss=_ratio(self.log_loss_units, n * LOSS_UNITS),
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

    @classmethod
    def of(cls, bins: list[int], negatives: list[int], positives: list[int], log_loss_units: int) -> BinaryScore:
        """The score whose bins in use are these."""
        score = cls()
        score._histogram[:, bins] = negatives, positives
        score._log_loss_units = log_loss_units
        return score

    def __reduce__(self) -> tuple[Any, ...]:
        return BinaryScore.of, (*self.sparse(), self.log_loss_units)


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
    log_loss_units: int = 0

    def update(self, label: Label, prediction: Prediction) -> None:
        """Add one outcome. No class predicted counts as the class ""."""
        label = str(label)
        self.counts[label, "" if prediction.value is None else str(prediction.value)] += 1
        self.log_loss_units += _loss((prediction.probabilities or {}).get(label, 0.0))

    def merge(self, other: MulticlassScore) -> None:
        """Add all of another score's outcomes."""
        self.counts.update(other.counts)
        self.log_loss_units += other.log_loss_units

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
            log_loss=_ratio(self.log_loss_units, n * LOSS_UNITS),
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


class RegressionScore:
    """How far off a number was foretold. Labels are finite and of magnitudes up to 1e145.

    Examples
    --------
    >>> score = RegressionScore()
    >>> for label, guess in [(1.0, 2.0), (3.0, 3.0), (5.0, 4.0)]:
    ...     score.update(label, Prediction(guess))
    >>> round(score.values().mae, 3), round(score.values().r2, 3)
    (0.667, 0.75)
    """

    def __init__(self) -> None:
        self.n = 0
        self._sums = [0] * len(SUMS)
        self._waiting = array("d")  # labels and predictions in turns, not yet in the sums

    def update(self, label: Label, prediction: Prediction) -> None:
        """Add one outcome."""
        guess, waiting = prediction.value, self._waiting
        assert isinstance(guess, float)
        waiting.append(label)  # type: ignore[arg-type]
        waiting.append(guess)
        self.n += 1
        if len(waiting) >= 2 * WAITING_MAX:
            self.sums()

    def merge(self, other: RegressionScore) -> None:
        """Add all of another score's outcomes."""
        self.n += other.n
        self._sums = [one + two for one, two in zip(self.sums(), other.sums(), strict=True)]

    def sums(self) -> list[int]:
        """What ``SUMS`` names, in quanta. The square of an error is rounded to a float, that of a label is not."""
        if self._waiting:
            outcomes = np.frombuffer(self._waiting).reshape(-1, 2)
            labels = outcomes[:, 0]
            errors = np.fmin(np.abs(labels - outcomes[:, 1]), ERROR_MAX)
            label_squares = sum(map(quanta, squares(labels)))
            more = (quanta(errors), quanta(errors * errors), quanta(labels), label_squares)
            self._sums = [one + two for one, two in zip(self._sums, more, strict=True)]
            self._waiting = array("d")
        return self._sums

    def confusion(self) -> dict[tuple[str, str], int]:
        """Numbers have none."""
        return {}

    def values(self) -> Values:
        """The scores so far."""
        n = self.n
        if not n:
            return Values(0)
        abs_error, squared_error, label, label_squared = self.sums()
        # n times the squared distances of the labels from their mean, added up, in quanta of quanta: exact until here
        spread = n * label_squared * QUANTA - label * label
        return Values(
            n,
            mae=abs_error / (n * QUANTA),
            rmse=math.sqrt(squared_error / (n * QUANTA)),
            r2=_r2(n * squared_error * QUANTA, spread),
        )

    @classmethod
    def of(cls, n: int, sums: Iterable[Iterable[float]]) -> RegressionScore:
        """The score of ``n`` outcomes, with the expansions of its sums."""
        score = cls()
        score.n, score._sums = n, list(map(of_expansion, sums))
        return score

    def __reduce__(self) -> tuple[Any, ...]:
        return RegressionScore.of, (self.n, list(map(expansion, self.sums())))


def _r2(errors: int, spread: int) -> float | None:
    """None where labels have no spread, or so little that the score is beyond floats."""
    try:
        return (spread - errors) / spread if spread > 0 else None
    except OverflowError:
        return None


SUMS = ("abs_error_sum", "squared_error_sum", "label_sum", "label_squared_sum")
"""What a score of numbers adds up."""


Score = BinaryScore | MulticlassScore | RegressionScore

_OF_KIND: dict[Kind, type[Score]] = {
    "binary": BinaryScore,
    "multiclass": MulticlassScore,
    "regression": RegressionScore,
}


def new_score(kind: Kind) -> Score:
    """An empty score for this kind of target."""
    return _OF_KIND[kind]()
