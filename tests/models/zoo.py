"""River models of all sorts and what they are taught, the same in every process."""

from __future__ import annotations

import random
from typing import Any

import msgspec
from river import base
from river.anomaly import HalfSpaceTrees
from river.drift import ADWIN, KSWIN, PageHinkley
from river.forest import ARFClassifier
from river.linear_model import LogisticRegression
from river.naive_bayes import GaussianNB
from river.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler, StatImputer
from river.stats import Mean
from river.tree import HoeffdingTreeClassifier

from models.digest import state_digest


class Row(msgspec.Struct):
    at: int
    name: str


MAKERS = {
    "logistic": lambda: StandardScaler() | LogisticRegression(),
    "tree": lambda: HoeffdingTreeClassifier(grace_period=20),
    "forest": lambda: ARFClassifier(n_models=3, seed=1),
    "bayes": GaussianNB,
    "one-hot": lambda: OneHotEncoder() | LogisticRegression(),
    "imputer": lambda: StatImputer(("x", Mean())) | StandardScaler() | LogisticRegression(),
    "half-space trees": lambda: MinMaxScaler() | HalfSpaceTrees(n_trees=3, height=4, seed=1),
    "adwin": ADWIN,
    "kswin": lambda: KSWIN(window_size=60, stat_size=20, seed=1),
    "page-hinkley": PageHinkley,
}


def features(name: str, i: int) -> dict[str, Any]:
    draw = random.Random(i)
    x: dict[str, Any] = {"x": draw.gauss(0, 1), "y": draw.random()}
    if name == "one-hot":
        return {"colour": draw.choice(["red", "green", "blue"]), "shape": draw.choice(["round", "square"])}
    if name == "imputer" and i % 5 == 0:
        x["x"] = None
    return x


def teach(model: Any, first: int, last: int, name: str = "") -> None:
    """Show the model the examples from ``first`` to before ``last``."""
    name = name or ("one-hot" if "OneHotEncoder" in str(model) else "imputer" if "StatImputer" in str(model) else "")
    for i in range(first, last):
        x, y = features(name, i), random.Random(-i).random() < 0.4
        if isinstance(model, base.DriftDetector):
            model.update(random.Random(i).random() + i // 100)
        elif isinstance(model[-1] if hasattr(model, "steps") else model, base.AnomalyDetector):
            model.learn_one(x)
        else:
            model.predict_proba_one(x)
            model.learn_one(x, y)


def taught(name: str) -> Any:
    model = MAKERS[name]()
    teach(model, 0, 200, name)
    return model


def print_digests() -> None:
    for name in MAKERS:
        print(name, state_digest(taught(name)), sep="\t")
