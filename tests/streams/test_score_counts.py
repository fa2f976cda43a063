"""Scores as they are published: what was split among tasks adds up to the same bytes, also after a way through JSON."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.learner import Kind, Prediction
from models.scores import RegressionScore, new_score
from streams.records import ScoreCounts
from streams.score_counts import added, counts_of, score_of
from tests.models.test_scores import Outcome, multiclass, of_any_kind, scored


def sent(counts: ScoreCounts) -> ScoreCounts:
    """As it comes out of a topic."""
    return msgspec.json.decode(msgspec.json.encode(counts), type=ScoreCounts)


@given(of_any_kind, st.randoms(use_true_random=False), st.integers(1, 5))
def test_counts_of_any_parts_in_any_order_add_up_to_the_same_bytes(
    case: tuple[Kind, list[Outcome], list[Outcome]], draw: random.Random, parts: int
) -> None:
    kind, left, right = case
    outcomes = [*left, *right]
    whole = scored(kind, outcomes)
    draw.shuffle(outcomes)
    total = counts_of(new_score(kind))
    for part in range(parts):
        total = added([sent(total), sent(counts_of(scored(kind, outcomes[part::parts])))])
    assert msgspec.json.encode(total) == msgspec.json.encode(counts_of(whole))
    assert score_of(sent(total)).values() == whole.values()


@given(of_any_kind)
def test_a_score_goes_on_from_what_was_published(case: tuple[Kind, list[Outcome], list[Outcome]]) -> None:
    kind, before, after = case
    score = scored(kind, before)
    again = score_of(sent(counts_of(score)))
    if before:  # of no outcomes nobody can tell the kind
        for label, prediction in after:
            score.update(label, prediction)
            again.update(label, prediction)
    assert again.values() == score.values()


def test_the_first_number_of_a_sum_is_the_sum_rounded() -> None:
    score = RegressionScore()
    for label in (0.1, 0.2, 0.3):
        score.update(label, Prediction(0.0))
    counts = counts_of(score)
    assert (counts.label_sum[0], counts.abs_error_sum[0]) == (0.6, 0.6)
    assert len(counts.label_sum) == 2, "and what rounding left"
    assert counts_of(RegressionScore()).label_sum == [0.0]
    assert counts_of(scored("multiclass", [("a", multiclass({}))])).label_sum == []
