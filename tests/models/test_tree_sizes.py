"""A tree that was restored measures the same size as one that was not, and so switches off the same leaves."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from typing import Any

import pytest
from river import forest, tree
from river.tree import hoeffding_tree, utils

from models import tree_sizes
from models.digest import state_digest
from models.learner import Learner, LiveModel

MAKERS: dict[str, Callable[[], Any]] = {
    "tree": lambda: tree.HoeffdingTreeClassifier(50, max_size=0.05, memory_estimate_period=300, delta=0.1),
    "forest": lambda: forest.ARFClassifier(3, seed=1, grace_period=20, max_size=0.05, memory_estimate_period=300),
}


def event(draw: random.Random) -> tuple[dict[str, Any], bool]:
    x: dict[str, Any] = {name: draw.gauss() for name in ("km", "größe", "wind")}
    x |= {"city": draw.choice(["Genf", "Zürich", "Basel"]), "wet": draw.random() < 0.3}
    return x, x["km"] * x["wind"] + x["wet"] > 0


def learned(model: Any, *cuts: int, events: int = 2_500) -> tuple[str, Any]:
    """The digest of what became of the model, and itself. After these events it is pickled and restored."""
    draw = random.Random(1)
    for number in range(events):
        x, y = event(draw)
        model.predict_proba_one(x)
        model.learn_one(x, y)
        if number in cuts:
            model = pickle.loads(pickle.dumps(model))
    return state_digest(model), model


@pytest.fixture(autouse=True)
def _measured_so() -> None:
    """As it is where a model is at work."""
    LiveModel(Learner("tree", MAKERS["tree"]()), "champion", "binary")
    assert hoeffding_tree.calculate_object_size is tree_sizes.size


@pytest.mark.parametrize("name", MAKERS)
def test_a_restart_shows_nowhere(name: str) -> None:
    undisturbed, _ = learned(MAKERS[name]())
    for cuts in ((299,), (450,), (100, 900, 1_700, 2_300)):
        assert learned(MAKERS[name](), *cuts)[0] == undisturbed, cuts


def test_it_did_with_what_river_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hoeffding_tree, "calculate_object_size", utils.calculate_object_size)
    assert learned(MAKERS["tree"](), 450)[0] != learned(MAKERS["tree"]())[0]


def test_leaves_are_switched_off_beyond_the_size_that_was_declared() -> None:
    _, model = learned(MAKERS["tree"]())
    assert model.n_inactive_leaves > 0
    assert learned(tree.HoeffdingTreeClassifier(50, memory_estimate_period=300, delta=0.1))[1].n_inactive_leaves == 0


def test_it_is_about_what_river_measures() -> None:
    _, model = learned(tree.HoeffdingTreeClassifier(50, delta=0.1))
    assert tree_sizes.size(model) == pytest.approx(utils.calculate_object_size(model), rel=0.4)
    assert tree_sizes.size(model, "KiB") * 1024 == tree_sizes.size(model)
