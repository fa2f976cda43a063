"""What each kind of model is asked, and when it learns."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from river.anomaly import HalfSpaceTrees
from river.dummy import NoChangeClassifier
from river.linear_model import LinearRegression, LogisticRegression
from river.naive_bayes import MultinomialNB
from river.preprocessing import MinMaxScaler, StandardScaler
from river.tree import HoeffdingTreeClassifier

from models.learner import Kind, Learner, LiveModel, Prediction, Rule


def live(model: Any, kind: Kind) -> LiveModel:
    return LiveModel(Learner("m", model), "champion", kind)


def is_big(x: dict[str, Any]) -> bool:
    return bool(x["x"] > 1)


def test_a_classifier_that_saw_nothing_gives_even_odds() -> None:
    assert live(HoeffdingTreeClassifier(), "binary").predict({"x": 1.0}) == Prediction(True, 0.5)


def test_a_classifier_that_saw_one_class_only_is_sure_of_it() -> None:
    model = live(NoChangeClassifier(), "binary")
    model.learn({"x": 1.0}, False)
    assert model.predict({"x": 1.0}) == Prediction(False, 0.0)


def test_a_multiclass_model_says_nothing_until_it_knows_a_class() -> None:
    model = live(MultinomialNB(), "multiclass")
    assert model.predict({"x": 1.0}) == Prediction(None, None, {})
    assert model.predict({"x": 1.0}).made
    model.learn({"x": 1.0}, "rain")
    assert model.predict({"x": 1.0}) == Prediction("rain", None, {"rain": 1.0})


def test_a_regression_predicts_a_float() -> None:
    assert live(LinearRegression(), "regression").predict({"x": 1.0}) == Prediction(0.0)


def test_an_anomaly_detectors_score_is_read_as_the_chance_of_true_and_needs_no_label() -> None:
    model = live(MinMaxScaler() | HalfSpaceTrees(n_trees=5, height=5, window_size=50, seed=1), "binary")
    for i in range(300):
        model.learn({"x": i % 10 / 10}, True)  # the label is not looked at
    usual, odd = model.predict({"x": 0.5}), model.predict({"x": 0.999})
    assert usual.probability is not None
    assert odd.probability is not None
    assert 0 <= usual.probability < odd.probability <= 1


def test_a_rule_predicts_by_its_function_and_never_learns() -> None:
    model = live(Rule(is_big), "binary")
    model.learn({"x": 2.0}, False)
    assert model.predict({"x": 2.0}) == Prediction(True, 1.0)
    assert model.predict({"x": 0.0}) == Prediction(False, 0.0)
    assert pickle.loads(pickle.dumps(model.model)).function is is_big


def test_learning_stops_at_the_declared_time() -> None:
    frozen = Learner("frozen", LogisticRegression(), learn_until=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    assert [ms < frozen.until_ms for ms in (0, 999, 1_000, 1_001)] == [True, True, False, False]
    assert Learner("for ever", LogisticRegression()).until_ms > 2**60


def test_the_declared_model_itself_never_learns() -> None:
    declared = StandardScaler() | LogisticRegression()
    live(declared, "binary").learn({"x": 1.0}, True)
    assert dict(declared["LogisticRegression"].weights) == {}


@pytest.mark.parametrize(
    "other",
    [
        Learner("other name", HoeffdingTreeClassifier()),
        Learner("m", HoeffdingTreeClassifier(grace_period=100)),
        Learner("m", StandardScaler() | HoeffdingTreeClassifier()),
        Learner("m", HoeffdingTreeClassifier(), learn_until=datetime(2013, 1, 1, tzinfo=UTC)),
        Learner("m", Rule(is_big)),
    ],
    ids=lambda learner: str(learner.model)[:20],
)
def test_the_version_changes_with_the_declaration(other: Learner) -> None:
    one = Learner("m", HoeffdingTreeClassifier())
    assert one.version() == Learner("m", HoeffdingTreeClassifier()).version()
    assert one.version() != other.version()
