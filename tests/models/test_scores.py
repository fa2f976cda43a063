"""Scores, with scikit-learn as independent eyes, and as sums that add up."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Sequence
from fractions import Fraction
from statistics import pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.digest import state_digest
from models.exact import QUANTA
from models.learner import Kind, Label, Prediction
from models.scores import (
    ERROR_MAX,
    LOG_LOSS_MAX,
    LOSS_UNITS,
    WAITING_MAX,
    BinaryScore,
    MulticlassScore,
    RegressionScore,
    Score,
    Values,
    folded,
    new_score,
)
from tests.models import scikit_learn

Outcome = tuple[Label, Prediction]


def scored(kind: Kind, outcomes: Sequence[Outcome]) -> Score:
    score = new_score(kind)
    for label, prediction in outcomes:
        score.update(label, prediction)
    return score


def binary(p: float) -> Prediction:
    return Prediction(p >= 0.5, p)


def multiclass(probabilities: dict[str, float]) -> Prediction:
    best = max(probabilities, key=probabilities.__getitem__) if probabilities else None
    return Prediction(best, None, probabilities)


probabilities = st.floats(0, 1)
numbers = st.floats(-1e15, 1e15)
guesses = st.floats(-1e100, 1e100)
classes = st.sampled_from("abc")
binary_outcomes = st.lists(st.tuples(st.booleans(), probabilities.map(binary)), max_size=30)
multiclass_outcomes = st.lists(
    st.tuples(classes, st.dictionaries(classes, probabilities, max_size=3).map(multiclass)), max_size=30
)
regression_outcomes = st.lists(st.tuples(numbers, (numbers | guesses).map(Prediction)), max_size=30)
of_any_kind = st.one_of(
    st.tuples(st.just("binary"), binary_outcomes, binary_outcomes),
    st.tuples(st.just("multiclass"), multiclass_outcomes, multiclass_outcomes),
    st.tuples(st.just("regression"), regression_outcomes, regression_outcomes),
)


@pytest.mark.parametrize("seed", scikit_learn.SEEDS)
def test_binary_scores_are_scikit_learns(seed: int) -> None:
    labels, said = scikit_learn.binary_outcomes(seed)
    values = scored("binary", [(label, binary(p)) for label, p in zip(labels, said, strict=True)]).values()
    theirs = scikit_learn.said_of("binary", seed)
    auc = theirs.pop("auc")
    assert values.n == 3_000
    assert values.accuracy == theirs["accuracy"]
    assert values.auc == pytest.approx(auc, abs=1e-3)
    assert {name: getattr(values, name) for name in theirs} == pytest.approx(theirs)
    assert (values.mae, values.rmse, values.r2) == (None, None, None)


@pytest.mark.parametrize("seed", scikit_learn.SEEDS)
def test_auc_is_exact_when_no_pair_shares_a_bin_by_chance(seed: int) -> None:
    labels, said = scikit_learn.tied_outcomes(seed)  # true ties count half, here as there
    values = scored("binary", [(label, binary(p)) for label, p in zip(labels, said, strict=True)]).values()
    assert values.auc == pytest.approx(scikit_learn.said_of("tied", seed)["auc"])


@pytest.mark.parametrize("seed", scikit_learn.SEEDS)
def test_multiclass_scores_are_scikit_learns_macro_averages(seed: int) -> None:
    labels, said = scikit_learn.multiclass_outcomes(seed)
    predictions = [multiclass(dict(zip(scikit_learn.NAMES, row, strict=True))) for row in said]
    values = scored("multiclass", list(zip(labels, predictions, strict=True))).values()
    theirs = scikit_learn.said_of("multiclass", seed)
    assert values.accuracy == theirs["accuracy"]
    assert {name: getattr(values, name) for name in theirs} == pytest.approx(theirs)


@pytest.mark.parametrize("seed", scikit_learn.SEEDS)
def test_regression_scores_are_scikit_learns(seed: int) -> None:
    labels, said = scikit_learn.regression_outcomes(seed)
    values = scored("regression", [(y, Prediction(p)) for y, p in zip(labels, said, strict=True)]).values()
    theirs = scikit_learn.said_of("regression", seed)
    assert {name: getattr(values, name) for name in theirs} == pytest.approx(theirs)


@given(of_any_kind, st.randoms(use_true_random=False), st.integers(1, 5))
def test_scores_of_any_parts_in_any_order_add_up_to_exactly_the_score_of_all(
    case: tuple[Kind, list[Outcome], list[Outcome]], draw: random.Random, parts: int
) -> None:
    # outcomes   a b c d e         in order, by one score
    #            d a │ e │ c b     shuffled, by several: nothing shows of it
    kind, left, right = case
    outcomes = [*left, *right]
    whole = scored(kind, outcomes)
    draw.shuffle(outcomes)
    merged = new_score(kind)
    for part in range(parts):
        merged.merge(scored(kind, outcomes[part::parts]))  # type: ignore[arg-type]
    assert merged.values() == whole.values()
    assert merged.confusion() == whole.confusion()
    assert exactly(merged) == exactly(whole)


def exactly(score: Score) -> tuple[object, ...]:
    """All that a score knows."""
    if isinstance(score, BinaryScore):
        return (score.sparse(), score.log_loss_units)
    if isinstance(score, MulticlassScore):
        return (score.confusion(), score.log_loss_units)
    return (score.n, score.sums())


def test_more_numbers_than_may_wait_are_added_up_exactly() -> None:
    draw = random.Random(1)
    said = [draw.uniform(-1, 1) * 10 ** draw.randint(-20, 15) for _ in range(3 * WAITING_MAX)]
    score = scored("regression", [(y, Prediction(0.0)) for y in said])
    assert isinstance(score, RegressionScore)
    wanted = [map(abs, map(Fraction, said)), (Fraction(y * y) for y in said), map(Fraction, said)]
    wanted.append(Fraction(y) ** 2 for y in said)
    assert [Fraction(quanta, QUANTA) for quanta in score.sums()] == [sum(values) for values in wanted]


def test_a_log_loss_is_a_whole_number_of_units() -> None:
    score = scored("binary", [(True, binary(0.3)), (True, binary(1.0))])
    assert isinstance(score, BinaryScore)
    assert score.log_loss_units == round(-math.log(0.3) * LOSS_UNITS)


@given(of_any_kind)
def test_a_pickled_score_goes_on_as_the_same_score(case: tuple[Kind, list[Outcome], list[Outcome]]) -> None:
    kind, before, after = case
    score = scored(kind, before)
    again = pickle.loads(pickle.dumps(score))
    for label, prediction in after:
        score.update(label, prediction)
        again.update(label, prediction)
    assert again.values() == score.values()
    assert state_digest(again) == state_digest(score)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_without_outcomes_nothing_is_defined(kind: Kind) -> None:
    assert new_score(kind).values() == Values(0)


def test_scores_that_need_both_labels_are_undefined_with_one() -> None:
    only_negatives = scored("binary", [(False, binary(0.2)), (False, binary(0.4))]).values()
    assert (only_negatives.precision, only_negatives.recall, only_negatives.f1, only_negatives.auc) == (None,) * 4
    assert only_negatives.accuracy == 1.0
    only_positives = scored("binary", [(True, binary(0.2))]).values()
    assert (only_positives.precision, only_positives.recall, only_positives.auc) == (None, 0.0, None)


def test_f1_is_zero_and_not_undefined_when_nothing_was_hit() -> None:
    values = scored("binary", [(True, binary(0.1)), (False, binary(0.9))]).values()
    assert (values.precision, values.recall, values.f1) == (0.0, 0.0, 0.0)


def test_half_a_chance_is_called_true() -> None:
    # P(True)   0.4999…  0.5  1.0      the boundary is that of the histogram, exactly
    # called    false    true true
    score = scored("binary", [(True, binary(math.nextafter(0.5, 0))), (True, binary(0.5)), (True, binary(1.0))])
    assert score.confusion() == {("true", "false"): 1, ("true", "true"): 2}


def test_a_label_called_impossible_costs_a_bounded_log_loss() -> None:
    most = pytest.approx(LOG_LOSS_MAX, abs=1 / LOSS_UNITS)
    assert scored("binary", [(True, binary(0.0)), (False, binary(1.0))]).values().log_loss == most
    assert scored("multiclass", [("a", multiclass({"b": 1.0}))]).values().log_loss == most


def test_a_model_that_knows_no_class_yet_is_wrong_and_not_an_error() -> None:
    score = scored("multiclass", [("a", multiclass({}))])
    assert score.confusion() == {("a", ""): 1}
    assert (score.values().accuracy, score.values().f1) == (0.0, 0.0)


def test_r2_is_undefined_when_all_labels_are_the_same() -> None:
    assert scored("regression", [(3.0, Prediction(2.0)), (3.0, Prediction(4.0))]).values().r2 is None


@pytest.mark.parametrize("offset", [1e9, 1.7e12, -1e14])
def test_r2_does_not_drown_in_the_size_of_the_labels(offset: float) -> None:
    # Labels as ms since 1970 differ in their last digits only: the difference of two sums of squares is noise.
    draw = random.Random(1)
    labels = [offset + draw.randrange(1_000) for _ in range(1_000)]
    said = [label + draw.randrange(-100, 100) for label in labels]
    outcomes: list[Outcome] = [(y, Prediction(p)) for y, p in zip(labels, said, strict=True)]
    errors = [Fraction(y) - Fraction(p) for y, p in zip(labels, said, strict=True)]
    off = sum(error**2 for error in errors) / pvariance(map(Fraction, labels)) / len(labels)
    wanted = pytest.approx(float(1 - off), rel=1e-6)
    halves = scored("regression", outcomes[:300])
    halves.merge(scored("regression", outcomes[300:]))  # type: ignore[arg-type]
    assert scored("regression", outcomes).values().r2 == wanted
    assert halves.values().r2 == wanted


def test_r2_of_labels_that_hardly_differ_is_undefined_and_not_infinite() -> None:
    assert scored("regression", [(0.0, Prediction(1e15)), (1e-160, Prediction(1e15))]).values().r2 is None


@given(st.dictionaries(st.tuples(st.sampled_from("abcd"), st.sampled_from(["a", "b", "c", ""])), st.integers(1, 9)))
def test_folding_a_confusion_matrix_keeps_what_was_right_and_what_was_wrong(cells: dict[tuple[str, str], int]) -> None:
    for kept_max in range(5):
        small = folded(cells, kept_max)
        assert sum(small.values()) == sum(cells.values())
        for right in (True, False):
            assert sum(n for (a, b), n in small.items() if (a == b) is right) == sum(
                n for (a, b), n in cells.items() if (a == b) is right
            )


@pytest.mark.parametrize("guess", [1e200, -1e308, math.inf, math.nan])
def test_a_number_absurdly_far_off_costs_a_bounded_error_and_stops_nothing(guess: float) -> None:
    values = scored("regression", [(1.0, Prediction(guess)), (2.0, Prediction(2.0))]).values()
    assert (values.mae, values.rmse) == (ERROR_MAX / 2, pytest.approx(ERROR_MAX / math.sqrt(2)))


def test_the_binary_histogram_is_published_by_the_bins_in_use() -> None:
    score = scored("binary", [(False, binary(0.0)), (True, binary(1.0)), (True, binary(1.0))])
    assert isinstance(score, BinaryScore)
    assert score.sparse() == ([0, 1023], [1, 0], [0, 2])


def test_each_kind_has_its_score() -> None:
    assert [type(new_score(kind)) for kind in ("binary", "multiclass", "regression")] == [
        BinaryScore,
        MulticlassScore,
        RegressionScore,
    ]
