"""Every mistake that can be seen without data is found, and the example has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from river.anomaly import GaussianScorer, HalfSpaceTrees
from river.compose import FuncTransformer
from river.drift import ADWIN, KSWIN
from river.ensemble import BaggingClassifier, VotingClassifier
from river.forest import ARFClassifier
from river.linear_model import LinearRegression, LogisticRegression
from river.preprocessing import OneHotEncoder, StandardScaler
from river.tree import HoeffdingTreeClassifier

from models import Learner, Rule, on_error, on_feature
from streams import Alert, Category, Events, Missing, Pipeline, Range, Reference, Require, Table, load_pipeline
from streams.check import check, refuse_mistakes
from streams.errors import Declined
from streams.measures import lead, rejects, score
from tests.streams.pipelines import trips

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights" / "flights.py"


def found(pipeline: Pipeline) -> list[tuple[str, str]]:
    findings = check(pipeline)
    assert all(finding.remedy for finding in findings)
    return [(finding.what, finding.where) for finding in findings]


def one(pipeline: Pipeline) -> tuple[str, str]:
    (finding,) = found(pipeline)
    return finding


def learner(model: Any, name: str = "m") -> dict[str, Any]:
    return {"champion": Learner(name, model)}


def events(**changes: Any) -> Events[Any]:
    fields = {"topic": "starts", "type": trips.Start, "key": "city", "time": "at", "id": "trip"} | changes
    return Events(**fields)


@pytest.mark.parametrize("make", [trips.lean, trips.regression, trips.multiclass, lambda: trips.pipeline])
def test_the_tests_own_pipelines_have_no_mistakes(make: Callable[[], Pipeline]) -> None:
    assert found(make()) == []


def test_the_flights_example_has_no_mistakes() -> None:
    assert found(load_pipeline(FLIGHTS)) == []


@pytest.mark.parametrize("name", ["", "Trips", "my trips", "a/b", "-x", "a" * 101, "é", "a.b", "x\n"])
def test_a_name_that_is_no_topic_or_folder_name_is_found(name: str) -> None:
    assert one(trips.lean(name=name))[1] == "name"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"partitions": 0}, "partitions"),
        ({"batch_max": 0}, "batch_max"),
        ({"checkpoint_every": 0}, "checkpoint_every"),
        ({"sliding_periods": 0}, "sliding_periods"),
        ({"report_every": timedelta(0)}, "report_every"),
        ({"labels": replace(trips.ends(), expire_after=timedelta(0))}, "expire_after"),
    ],
)
def test_a_size_that_leaves_no_room_is_found(change: dict[str, Any], where: str) -> None:
    assert one(trips.lean(**change))[1] == where


def test_topics_used_twice_are_found() -> None:
    assert one(trips.lean(events=events(topic="trips.journal"))) == (
        "topic trips.journal is used twice",
        "input trips.journal",
    )
    assert ("topic ends is used twice", "input ends") in found(trips.lean(events=events(topic="ends")))


def test_learners_of_one_name_are_found() -> None:
    twins = trips.lean(challengers=[trips.logistic()])
    assert one(twins) == ("two learners are called logistic", "learner logistic")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"events": events(key="town")}, "key of starts"),
        ({"events": events(id="name")}, "id of starts"),
        ({"events": events(clean=[Missing("town")])}, "Missing of starts"),
        ({"events": events(clean=[Range("town", 0, 1)])}, "Range of starts"),
        ({"events": events(clean=[Category("town", {"nyc"})])}, "Category of starts"),
        ({"labels": replace(trips.ends(), joins="name")}, "joins of ends"),
        ({"labels": replace(trips.ends(), time="when")}, "time of ends"),
        ({"references": [Reference("sky", trips.Sky, key="town", time="at")]}, "key of sky"),
        ({"tables": [Table("t.csv", trips.Sky, key="town")]}, "key of t.csv"),
    ],
)
def test_a_field_that_its_type_does_not_have_is_found_with_those_it_has(change: dict[str, Any], where: str) -> None:
    (finding,) = check(trips.lean(**change))
    assert "has no field" in finding.what
    assert finding.where == where
    assert "city" in finding.remedy


def test_a_time_that_is_none_is_found() -> None:
    assert one(trips.lean(events=events(time="city"))) == ("city is no time", "time of starts")


def test_an_unknown_field_of_a_window_is_found() -> None:
    for by, of in (("town", "km"), ("city", "miles")):
        source = events()
        source.window(by=by, over=timedelta(hours=1)).mean(of)
        assert any("has no field" in what for what, _ in found(trips.lean(events=source)))


def test_a_mean_of_texts_and_a_window_of_no_length_are_found() -> None:
    source = events()
    source.window(by="city", over=timedelta(hours=1)).mean("driver")
    assert "driver is no number" in one(trips.lean(events=source))[0]
    source = events()
    source.window(by="city", over=timedelta(0)).count()
    assert one(trips.lean(events=source))[0] == "the window has no length"


labels_by_zone = trips.ends()
by_zone = labels_by_zone.window(by="zone", over=timedelta(hours=1)).count()
labels_by_minutes = trips.ends()
by_minutes = labels_by_minutes.window(by="minutes", over=timedelta(hours=1)).count()


def reads_by_zone(start: trips.Start, now: Any) -> dict[str, Any]:
    return {"km": start.km, "there": now.read(by_zone, "centre"), "wrong": now[by_minutes]}


def test_a_window_is_read_at_the_events_own_key_or_at_one_of_choice() -> None:
    # `by_zone` is kept by a field that events do not have: now[by_zone] would fail, now.read(by_zone, …) does not
    assert found(trips.lean(labels=labels_by_zone, features=reads_by_zone)) == []
    (finding,) = check(trips.lean(labels=labels_by_minutes, features=reads_by_zone))
    assert "Start has no field 'minutes' to read the window at" in finding.what
    assert "now.read(" in finding.remedy


def no_context(start: trips.Start) -> dict[str, Any]:
    return {}


def two_labels(end: trips.End, other: trips.End) -> bool:
    return True


def says_nothing(end: trips.End):  # type: ignore[no-untyped-def]
    return True


def says_list(end: trips.End) -> list[bool]:
    return [True]


def says_maybe(end: trips.End) -> bool | None:
    return None


def of_unknown(end: Unknown) -> bool:
    return True


def to_unknown(end: trips.End) -> Unknown:
    return True


def test_functions_of_the_wrong_shape_are_found() -> None:
    assert one(trips.lean(features=no_context)) == ("features cannot be called with 2 argument(s)", "features")
    assert one(trips.lean(target=two_labels)) == ("target cannot be called with 1 argument(s)", "target")
    picky = events(clean=[Require(two_labels, "picky")])
    assert one(trips.lean(events=picky))[1] == "clean of starts"


@pytest.mark.parametrize("target", [says_nothing, says_list, says_maybe, to_unknown, partial(two_labels, None)])
def test_a_target_that_does_not_say_what_it_gives_is_found(target: Any) -> None:
    what, where = one(trips.lean(target=target))
    assert "must be annotated to return bool, str, int or float" in what
    assert where == "target"


def test_what_a_target_takes_need_not_be_known_at_run_time() -> None:
    assert [where for _, where in found(trips.lean(target=of_unknown))] in ([], ["target"])


def test_functions_that_do_not_pickle_are_found() -> None:
    def inner(start: trips.Start, now: Any) -> dict[str, Any]:
        return {}

    for features in (inner, lambda start, now: {}):
        assert "does not pickle" in one(trips.lean(features=features))[0]
    assert "does not pickle" in one(trips.lean(events=events(clean=[Require(lambda start: True, "x")])))[0]
    rule = trips.lean(baselines=[Learner("rule", Rule(lambda x: True))])
    assert one(rule)[1] == "learner rule"
    assert "does not pickle" in one(trips.lean(**learner(FuncTransformer(lambda x: x) | LogisticRegression())))[0]


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (ARFClassifier(n_models=3), "ARFClassifier"),
        (StandardScaler() | ARFClassifier(n_models=3), "Pipeline.ARFClassifier"),
        ((StandardScaler() + OneHotEncoder()) | ARFClassifier(n_models=3), "Pipeline.ARFClassifier"),
        (ARFClassifier(n_models=3, seed=1, drift_detector=KSWIN()), "ARFClassifier.drift_detector"),
        (BaggingClassifier(HoeffdingTreeClassifier(), n_models=3), "BaggingClassifier"),
        (BaggingClassifier(ARFClassifier(n_models=3), n_models=3, seed=1), "BaggingClassifier.model"),
        (VotingClassifier([HoeffdingTreeClassifier(), ARFClassifier(n_models=3)]), "VotingClassifier.models"),
        (HalfSpaceTrees(), "HalfSpaceTrees"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_random_model_without_a_seed_is_found_at_any_depth(model: Any, path: str) -> None:
    assert one(trips.lean(**learner(model))) == (f"{path} has no seed", "learner m")


@pytest.mark.parametrize(
    "model",
    [
        ARFClassifier(n_models=3, seed=0),
        StandardScaler() | BaggingClassifier(HoeffdingTreeClassifier(), n_models=3, seed=7),
        VotingClassifier([HoeffdingTreeClassifier(), ARFClassifier(n_models=3, seed=1)]),
        HalfSpaceTrees(seed=42),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_seeded_model_is_fine(model: Any) -> None:
    assert found(trips.lean(**learner(model))) == []


def test_a_model_of_the_wrong_kind_is_found() -> None:
    assert "cannot predict a binary target" in one(trips.lean(**learner(LinearRegression())))[0]
    assert "cannot predict a binary target" in one(trips.lean(**learner(StandardScaler())))[0]
    assert "cannot predict a binary target" in one(trips.lean(**learner(GaussianScorer())))[0], (
        "it wants the label first"
    )
    regression = replace(trips.regression(), **learner(LogisticRegression()))
    assert one(regression)[0] == "LogisticRegression cannot predict a regression target"
    odd = replace(trips.multiclass(), **learner(HalfSpaceTrees(seed=1)))
    assert one(odd)[0] == "HalfSpaceTrees cannot predict a multiclass target"


def test_a_time_to_stop_learning_without_a_zone_is_found() -> None:
    naive = Learner("m", LogisticRegression(), learn_until=datetime(2013, 1, 1))  # noqa: DTZ001
    assert one(trips.lean(champion=naive)) == ("learn_until has no time zone", "learner m")
    aware = Learner("m", LogisticRegression(), learn_until=datetime(2013, 1, 1, tzinfo=UTC))
    assert found(trips.lean(champion=aware)) == []


def test_mistakes_of_watches_are_found() -> None:
    assert one(trips.lean(drift=[on_error(ADWIN(), "tree")]))[0] == "there is no learner 'tree' to watch"
    assert one(trips.lean(drift=[on_feature("km", KSWIN())]))[0] == "KSWIN has no seed"
    assert one(trips.lean(drift=[on_error(ADWIN(), every=0)]))[0] == "every is 0"


@pytest.mark.parametrize(
    ("alert", "what"),
    [
        (Alert("", rejects(), above=1), "its name is not one"),
        (Alert("a" * 101, rejects(), above=1), "its name is not one"),
        (Alert("a\n", rejects(), above=1), "its name is not one"),
        (Alert("a", rejects()), "it has no bound, or two"),
        (Alert("a", rejects(), above=1, below=0), "it has no bound, or two"),
        (Alert("a", rejects(), above=1, windows=0), "windows is 0"),
        (Alert("a", rejects(), above=1, over=0), "over is 0"),
        (Alert("a", score("beauty"), above=1), "there is no score 'beauty'"),
        (Alert("a", lead("auc", "tree"), above=1), "there is no learner 'tree'"),
    ],
)
def test_mistakes_of_alerts_are_found(alert: Alert, what: str) -> None:
    assert one(trips.lean(alerts=[alert]))[0] == what


def test_alerts_of_one_name_are_found() -> None:
    twice = [Alert("a", rejects(), above=1), Alert("a", rejects(), above=2)]
    assert [what for what, _ in found(trips.lean(alerts=twice))] == ["its name is not one"] * 2


def test_a_pipeline_with_mistakes_is_declined_with_all_of_them_at_once() -> None:
    wrong = trips.lean(name="Trips", features=no_context)
    with pytest.raises(Declined) as caught:
        refuse_mistakes(wrong, "trips.py")
    assert caught.value.where == "trips.py"
    assert "'Trips' cannot be the name" in caught.value.what
    assert "features cannot be called" in caught.value.what
    refuse_mistakes(trips.pipeline, "trips.py")
