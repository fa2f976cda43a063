"""A champion and its shadows, side by side."""

from __future__ import annotations

import pickle
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from river.anomaly import HalfSpaceTrees
from river.drift import ADWIN, PageHinkley
from river.linear_model import LinearRegression, LogisticRegression
from river.naive_bayes import GaussianNB
from river.preprocessing import MinMaxScaler, StandardScaler
from river.tree import HoeffdingTreeClassifier

from models.digest import state_digest
from models.drift import Watch, on_error, on_feature, on_prediction
from models.learner import Kind, Label, Learner, Prediction, Role, Rule
from models.panel import Drift, Panel


def is_positive(x: dict[str, Any]) -> bool:
    return bool(x["x"] > 0)


def logistic(name: str = "logistic") -> Learner:
    return Learner(name, StandardScaler() | LogisticRegression())


def panel(*learners: Learner, kind: Kind = "binary", watches: Sequence[Watch] = ()) -> Panel:
    roles: list[Role] = ["champion", "challenger", "baseline", "baseline"]
    return Panel(list(zip(learners, roles, strict=False)), kind, watches, sliding=3)


def run(panel: Panel, first: int, last: int, label: Any = None) -> list[tuple[tuple[Prediction, ...], list[Drift]]]:
    """Predict and learn at once, examples ``first`` to before ``last``, one a millisecond."""
    said = []
    for i in range(first, last):
        draw = random.Random(i)
        x = {"x": draw.gauss(0, 1), "y": draw.random()}
        y: Label = x["x"] + draw.gauss(0, 0.1) > 0 if label is None else label(x)
        predictions = panel.predict(x)
        drifts = panel.watch(x, predictions) + panel.watch_errors(y, predictions)
        said.append((predictions, drifts))
        panel.score([(y, predictions)])
        assert panel.admits(y)
        panel.learn(x, y, event_time_ms=i)
    return said


def closed(panel: Panel) -> list[Any]:
    return [score.close().values() for score in panel.scores]


def test_all_models_see_the_same_events_and_the_better_one_scores_better() -> None:
    both = panel(Learner("tree", HoeffdingTreeClassifier()), logistic(), Learner("rule", Rule(is_positive)))
    run(both, 0, 500)
    tree, linear, rule = closed(both)
    assert tree.n == linear.n == rule.n == 500
    assert rule.accuracy > max(linear.accuracy, tree.accuracy) > 0.9


def test_a_model_in_company_says_what_it_says_alone() -> None:
    alone, company = panel(logistic()), panel(logistic(), Learner("tree", HoeffdingTreeClassifier()))
    assert [p[0] for p, _ in run(alone, 0, 100)] == [p[0] for p, _ in run(company, 0, 100)]


def test_a_frozen_learner_predicts_on_without_learning_on() -> None:
    frozen = Learner("frozen", logistic().model, learn_until=datetime.fromtimestamp(0.05, UTC))  # the first 50
    both = panel(logistic(), frozen)
    early, late = run(both, 0, 50), run(both, 50, 100)
    assert all(p[0] == p[1] for p, _ in early)
    assert late[0][0][0] == late[0][0][1], "what is predicted next still follows from the first 50"
    assert late[-1][0][0] != late[-1][0][1]
    assert closed(both)[1].n == 100, "it is scored all the same"


def test_multiclass_and_regression_panels_learn_too() -> None:
    three = panel(Learner("bayes", GaussianNB()), kind="multiclass")
    run(three, 0, 300, label=lambda x: "low" if x["x"] < -0.5 else "high" if x["x"] > 0.5 else "mid")
    assert closed(three)[0].accuracy > 0.7
    linear = panel(Learner("linear", StandardScaler() | LinearRegression()), kind="regression")
    run(linear, 0, 1_000, label=lambda x: 3 * x["x"] + 1)
    run(linear, 1_000, 1_100, label=lambda x: 3 * x["x"] + 1)
    assert linear.scores[0].close().values().r2 > 0.7


def test_an_anomaly_detector_may_be_champion_of_a_binary_target() -> None:
    model = MinMaxScaler() | HalfSpaceTrees(n_trees=5, height=5, window_size=50, seed=1)
    odd = panel(Learner("odd", model))
    run(odd, 0, 200, label=lambda x: abs(x["x"]) > 1.5)
    (values,) = closed(odd)
    assert values.n == 200
    assert values.auc > 0.6


def test_drift_is_told_of_errors_features_and_predictions() -> None:
    watches = [on_error(ADWIN()), on_feature("x", PageHinkley()), on_prediction(ADWIN()), on_error(ADWIN(), "tree")]
    both = panel(logistic(), Learner("tree", HoeffdingTreeClassifier()), watches=watches)
    calm = run(both, 0, 500)
    assert not any(d.watched == "error of champion" for _, drifts in calm for d in drifts)
    turned = run(both, 500, 1_500, label=lambda x: x["x"] < 0)  # the concept turns round
    seen = {(drift.watched, drift.model) for _, drifts in turned for drift in drifts}
    assert ("error of champion", "logistic") in seen
    assert ("error of tree", "tree") in seen
    assert [watch.seen for watch in both.watches] == [1_500] * 4


def test_a_missing_or_textual_feature_is_not_shown_to_its_detector() -> None:
    watched = panel(logistic(), watches=[on_feature("wind", ADWIN())])
    for x in ({"x": 1.0}, {"x": 1.0, "wind": None}, {"x": 1.0, "wind": "strong"}, {"x": 1.0, "wind": 3}):
        watched.watch(x, watched.predict(x))
    assert watched.watches[0].seen == 1


def test_a_restored_panel_goes_on_as_if_nothing_had_happened() -> None:
    learners = (logistic(), Learner("tree", HoeffdingTreeClassifier(grace_period=20)))
    watches = [on_error(ADWIN()), on_feature("x", PageHinkley(), every=3)]
    undisturbed, first = panel(*learners, watches=watches), panel(*learners, watches=watches)
    run(undisturbed, 0, 100)
    run(first, 0, 100)
    second = panel(*learners, watches=watches)
    second.restore(pickle.loads(pickle.dumps(first.state())))
    assert run(second, 100, 300) == run(undisturbed, 100, 300)
    assert state_digest(second.state()) == state_digest(undisturbed.state())


def test_two_watches_of_one_kind_on_one_stream_keep_a_state_each() -> None:
    watches = [on_error(ADWIN(delta=0.002)), on_error(ADWIN(delta=0.3)), on_error(ADWIN(delta=0.3))]
    first, second = panel(logistic(), watches=watches), panel(logistic(), watches=watches)
    run(first, 0, 50)
    second.restore(pickle.loads(pickle.dumps(first.state())))
    assert [watch.detector.delta for watch in second.watches] == [0.002, 0.3, 0.3]
    assert len({id(watch.detector) for watch in second.watches}) == 3
    assert run(second, 50, 60) == run(first, 50, 60)
    assert state_digest(second.state()) == state_digest(first.state())


def test_a_watch_declared_with_other_parameters_starts_anew() -> None:
    first, second = (panel(logistic(), watches=[on_error(ADWIN(delta=delta))]) for delta in (0.002, 0.1))
    run(first, 0, 50)
    second.restore(first.state())
    assert (second.watches[0].detector.delta, second.watches[0].seen) == (0.1, 0)


def test_a_learner_declared_anew_starts_fresh_while_the_others_go_on() -> None:
    first = panel(logistic(), Learner("tree", HoeffdingTreeClassifier()))
    run(first, 0, 100)
    changed = Learner("tree", HoeffdingTreeClassifier(grace_period=10))
    second = panel(Learner("new", GaussianNB()), changed, logistic())
    assert second.restore(pickle.loads(pickle.dumps(first.state()))) == [None, None, 0]
    assert [score.open.n for score in second.scores] == [0, 0, 100]
    x = {"x": 1.0, "y": 0.0}
    assert second.predict(x)[2] == first.predict(x)[0]
    assert second.predict(x)[1].probability == 0.5


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_model_that_was_not_asked_is_not_scored_but_learns(kind: Kind) -> None:
    model = LinearRegression() if kind == "regression" else GaussianNB()
    watched = panel(Learner("m", model), kind=kind, watches=[on_error(ADWIN())])
    before = state_digest(watched.models[0].model)
    label = 1.0 if kind == "regression" else "a"
    watched.score([(label, [Prediction(None)])])
    assert watched.watch_errors(label, [Prediction(None)]) == []
    watched.learn({"x": 1.0}, label, event_time_ms=0)
    assert watched.scores[0].close().n == 0
    assert watched.watches[0].seen == 0
    assert state_digest(watched.models[0].model) != before
