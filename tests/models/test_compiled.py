"""The compiled equivalents of River's hot paths: the same predictions and the same states, to the last bit."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
from river import base, forest, tree

from models import compiled
from models.digest import state_digest

EVENTS = 1_500

CLASSIFIERS: dict[str, Callable[[], base.Classifier]] = {
    "tree": lambda: tree.HoeffdingTreeClassifier(grace_period=50),
    "naive bayes": lambda: tree.HoeffdingTreeClassifier(grace_period=50, leaf_prediction="nb", nb_threshold=5),
    "majority": lambda: tree.HoeffdingTreeClassifier(grace_period=50, leaf_prediction="mc", split_criterion="gini"),
    "flat": lambda: tree.HoeffdingTreeClassifier(grace_period=30, max_depth=3, remove_poor_attrs=True),
    "many ways": lambda: tree.HoeffdingTreeClassifier(grace_period=50, nominal_attributes=["c"], binary_split=False),
    "histogram": lambda: tree.HoeffdingTreeClassifier(grace_period=50, splitter=tree.splitter.HistogramSplitter()),
    "adaptive": lambda: tree.HoeffdingAdaptiveTreeClassifier(grace_period=50, seed=1),
    "extremely fast": lambda: tree.ExtremelyFastDecisionTreeClassifier(grace_period=50, min_samples_reevaluate=100),
    "last": tree.LASTClassifier,
    "forest": lambda: forest.ARFClassifier(n_models=3, seed=1, grace_period=20),
    "aggregated": lambda: forest.AMFClassifier(n_estimators=2, seed=1),
}
REGRESSORS: dict[str, Callable[[], base.Regressor]] = {
    "regression": lambda: tree.HoeffdingTreeRegressor(grace_period=50),
    "means": lambda: tree.HoeffdingTreeRegressor(grace_period=50, leaf_prediction="mean"),
    "adaptive regression": lambda: tree.HoeffdingAdaptiveTreeRegressor(grace_period=50, seed=1),
    "gradient": lambda: tree.SGTRegressor(grace_period=50, delta=0.1),
    "forest of regressions": lambda: forest.ARFRegressor(n_models=3, seed=1, grace_period=20),
}


def plain(draw: random.Random) -> dict[str, Any]:
    return {name: draw.gauss() for name in "abdef"}


def mixed(draw: random.Random) -> dict[str, Any]:
    """Texts, bools, whole and large numbers; some that never vary, some missing."""
    x = {"a": draw.gauss(), "b": draw.randrange(5), "c": draw.choice("xyz"), "d": draw.random() < 0.5, "e": 0.25}
    x |= {"f": draw.gauss() * 1e12, "g": float(draw.randrange(3)), "h": draw.choice([1.0, 2])}
    return {name: value for name, value in x.items() if name == "a" or draw.random() < 0.9}


STREAMS = {"plain": plain, "mixed": mixed}


def rows(stream: str, labels: int | None) -> Iterator[tuple[dict[str, Any], Any]]:
    """Events with their labels: of so many classes (two: bools), or numbers. The concept changes half-way."""
    draw = random.Random(7)
    for number in range(EVENTS):
        x = STREAMS[stream](draw)
        score = x["a"] * (1 if number < EVENTS // 2 else -1) + 0.3 * draw.gauss() + 0.2 * float(x.get("b", 0))
        yield x, score if labels is None else score > 0 if labels == 2 else int(2 * score) % labels


def learned(model: Any, stream: str, labels: int | None) -> tuple[list[str], str]:
    """What it said of each event before it learned it, 20 events later; and what it became."""
    said, waiting = [], list[tuple[Any, Any]]()
    for x, y in rows(stream, labels):
        said.append(repr(model.predict_one(x) if labels is None else model.predict_proba_one(x)))
        waiting.append((x, y))
        if len(waiting) > 20:
            model.learn_one(*waiting.pop(0))
    return said, state_digest(model)


def same(make: Callable[[], Any], stream: str, labels: int | None) -> None:
    expected = learned(make(), stream, labels)
    with compiled.used() as used:
        assert used, "models/compiled/trees is not built: is there a C compiler?"
        assert learned(make(), stream, labels) == expected


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name: str, labels: int, stream: str) -> None:
    if name == "aggregated" and stream == "mixed":
        stream = "plain"  # it knows numbers only
    same(CLASSIFIERS[name], stream, labels)


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors(name: str, stream: str) -> None:
    if name != "means" and stream == "mixed":
        stream = "plain"  # the others know numbers only
    same(REGRESSORS[name], stream, None)


def test_a_model_goes_on_with_and_without() -> None:
    mixed_up = CLASSIFIERS["forest"]()
    for number, (x, y) in enumerate(islice(rows("plain", 2), 600)):
        if number % 2:
            mixed_up.learn_one(x, y)
        else:
            with compiled.used():
                mixed_up.learn_one(x, y)
    alone = CLASSIFIERS["forest"]()
    for x, y in islice(rows("plain", 2), 600):
        alone.learn_one(x, y)
    assert state_digest(mixed_up) == state_digest(alone)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -0.0, 5e-324, 1e308, 10**400, None])
def test_strange_numbers(number: Any) -> None:
    def after(learn: int) -> tuple[str, str]:
        model = CLASSIFIERS["tree"]()
        x = {"a": 1.0, "b": 2.0}
        try:
            for place in range(learn):
                model.learn_one({**x, "a": number} if place % 7 == 0 else x | {"a": float(place % 5)}, place % 3 == 0)
            said = repr(model.predict_proba_one({**x, "a": number}))
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        return said, state_digest(model)

    expected = after(300)
    with compiled.used():
        assert after(300) == expected


def test_river_is_as_it_was_afterwards() -> None:
    before = [(each.holder, each.name, each.original) for each in compiled.replacements(module())]
    with compiled.used():
        assert all(holder.__dict__[name] is not original for holder, name, original in before)
    assert all(holder.__dict__[name] is original for holder, name, original in before)


def test_with_another_version_of_river_its_own_functions_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "RIVER", "0.1.0")
    with compiled.used() as used:
        assert not used


def module() -> Any:
    found = compiled.built()
    assert found is not None
    return found


def test_where_it_is_not_built_rivers_own_functions_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "models.compiled.trees", None)
    with compiled.used() as used:
        assert not used
