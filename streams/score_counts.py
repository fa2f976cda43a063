"""Scores as they are published: to sums and counts, and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from models.exact import expansion
from models.learner import Kind
from models.scores import SUMS, BinaryScore, MulticlassScore, RegressionScore, Score, folded
from streams.records import ConfusionCell, ScoreCounts

CONFUSION_BYTES_MAX = 600_000
"""How much of a metrics record the confusion matrices of all models may take."""

CELLS_ALWAYS = 4
"""As many cells need no measuring: those of a binary target, or of one class and all others."""


def counts_of(score: Score, confusion_bytes_max: int = CONFUSION_BYTES_MAX) -> ScoreCounts:
    """A score's sums and counts as they are published.

    Examples
    --------
    >>> from models.learner import Prediction
    >>> score = RegressionScore()
    >>> for guess in (0.1, 0.2, 0.3):
    ...     score.update(0.0, Prediction(guess))
    >>> counts = counts_of(score)
    >>> counts.n, counts.abs_error_sum
    (3, [0.6, 2.7755575615628914e-17])
    """
    bins, negatives, positives = score.sparse() if isinstance(score, BinaryScore) else ([], [], [])
    numbers = score.sums() if isinstance(score, RegressionScore) else None
    sums = {name: expansion(numbers[i]) if numbers else [] for i, name in enumerate(SUMS)}
    return ScoreCounts(
        n=score.n,
        confusion=_cells(score, confusion_bytes_max),
        log_loss_units=0 if isinstance(score, RegressionScore) else score.log_loss_units,
        bins=bins,
        negatives=negatives,
        positives=positives,
        **sums,
    )


def _cells(score: Score, bytes_max: int) -> list[ConfusionCell]:
    """The confusion matrix, with the rarest classes folded into one until it fits."""
    confusion = score.confusion()
    cells = [ConfusionCell(*cell, count) for cell, count in confusion.items()]
    kept = len(confusion)
    while len(cells) > CELLS_ALWAYS and len(msgspec.json.encode(cells)) > bytes_max:
        kept //= 2
        cells = [ConfusionCell(*cell, count) for cell, count in folded(confusion, kept).items()]
    return cells


def kind_of(counts: ScoreCounts) -> Kind:
    """Which kind of target these counts are of; of a classification without outcomes nobody can tell, nor need to."""
    if counts.label_sum:
        return "regression"
    return "binary" if counts.bins else "multiclass"


def score_of(counts: ScoreCounts) -> Score:
    """The score that was published so: it goes on as if it had seen the outcomes itself.

    Only of a confusion matrix that was too large for a record the rarest classes stay one.

    Examples
    --------
    >>> from models.learner import Prediction
    >>> score = BinaryScore()
    >>> score.update(True, Prediction(True, 0.8))
    >>> score_of(counts_of(score)).values() == score.values()
    True
    """
    kind = kind_of(counts)
    if kind == "binary":
        return BinaryScore.of(counts.bins, counts.negatives, counts.positives, counts.log_loss_units)
    if kind == "regression":
        return RegressionScore.of(counts.n, [getattr(counts, name) for name in SUMS])
    cells = {(cell.label, cell.prediction): cell.count for cell in counts.confusion}
    return MulticlassScore(Counter(cells), counts.log_loss_units)


def added(counts: Iterable[ScoreCounts], confusion_bytes_max: int = CONFUSION_BYTES_MAX) -> ScoreCounts:
    """The counts of the outcomes of all: at least one, of one kind of target."""
    first, *others = sorted(counts, key=lambda each: not each.n)  # of one without outcomes nobody can tell the kind
    score: Any = score_of(first)
    for other in others:
        if other.n:
            score.merge(score_of(other))
    return counts_of(score, confusion_bytes_max)
