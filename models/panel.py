"""A pipeline's models side by side: the champion and those in its shadow see the same events and the same labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from models.classes import Classes
from models.drift import LiveWatch, Watch
from models.learner import Features, Kind, Label, Learner, LiveModel, Prediction, Role
from models.prequential import Prequential


class Drift(NamedTuple):
    """A detector saw drift: which one, on what, of which model (None for a feature), at which value."""

    detector: str
    watched: str
    model: str | None
    value: float


class ModelError(Exception):
    """A model raised, or said what is no prediction; its name is in the message, the reason is the cause."""


class Panel:
    """Predict together, be scored together, learn together. The champion is the first.

    Examples
    --------
    >>> from river.linear_model import LogisticRegression
    >>> panel = Panel([(Learner("logistic", LogisticRegression()), "champion")], "binary", [], sliding=24)
    >>> for x, y in [(1.0, True), (-1.0, False), (1.0, True)]:
    ...     panel.score([(y, panel.predict({"x": x}))])
    ...     panel.learn({"x": x}, y, event_time_ms=0)
    >>> panel.predict({"x": 1.0})[0].value
    True
    """

    def __init__(
        self, learners: Sequence[tuple[Learner, Role]], kind: Kind, watches: Sequence[Watch], sliding: int
    ) -> None:
        self.kind = kind
        self.models = [LiveModel(learner, role, kind) for learner, role in learners]
        self.scores = [Prequential(kind, sliding) for _ in self.models]
        self.classes = Classes(len(self.models))
        self.watches = [LiveWatch(watch) for watch in watches]
        self.paused = False
        self._declared_champion = self.models[0].name
        self._assign_watches()

    def _assign_watches(self) -> None:
        place = {model.name: index for index, model in enumerate(self.models)}
        self._on_feature = [w for w in self.watches if w.watch.stream == "feature"]
        self._on_prediction = [(place[w.watch.name or self.models[0].name], w) for w in self._of("prediction")]
        self._on_error = [(place[w.watch.name or self.models[0].name], w) for w in self._of("error")]

    def _of(self, stream: str) -> list[LiveWatch]:
        return [watch for watch in self.watches if watch.watch.stream == stream]

    def predict(self, features: Features) -> tuple[Prediction, ...]:
        """What each model says of an event. Changes nothing."""
        said: list[Prediction] = []
        try:
            for model in self.models:
                said.append(model.predict(features))
        except Exception as error:
            raise ModelError(f"{model.name}: {type(error).__name__}: {error}") from error
        return tuple(said)

    def watch(self, features: Features, predictions: Sequence[Prediction]) -> list[Drift]:
        """Show the detectors an event that was taken in: the drift seen in its features and predictions."""
        drifts: list[Drift] = []
        for watch in self._on_feature:
            value = features.get(watch.watch.name or "")
            if isinstance(value, int | float):
                self._show(watch, float(value), None, drifts)
        for index, watch in self._on_prediction:
            shown = predictions[index]
            if shown.probability is not None:
                self._show(watch, shown.probability, self.models[index].name, drifts)
            elif isinstance(shown.value, float):
                self._show(watch, shown.value, self.models[index].name, drifts)
        return drifts

    def watch_errors(self, label: Label, predictions: Sequence[Prediction]) -> list[Drift]:
        """Show the detectors what became of a prediction: the drift seen in its error."""
        drifts: list[Drift] = []
        for index, watch in self._on_error:
            if predictions[index].made:
                self._show(watch, self._error(label, predictions[index]), self.models[index].name, drifts)
        return drifts

    def admits(self, label: Label) -> bool:
        """Whether this label may be learned, as it will be now: of classes there may be only so many."""
        if self.kind != "multiclass":
            return True
        name = str(label)
        if not self.classes.has_room_for(name):
            return False
        self.classes.add(name)
        return True

    def score(self, outcomes: Sequence[tuple[Label, Sequence[Prediction]]]) -> None:
        """Score what was predicted by the labels that came."""
        if not outcomes:
            return
        labels, predicted = zip(*outcomes, strict=True)
        for score, said in zip(self.scores, zip(*predicted, strict=True), strict=True):
            update = score.open.update
            for label, prediction in zip(labels, said, strict=True):
                if prediction.made:
                    update(label, prediction)

    def learn(self, features: Features, label: Label, event_time_ms: int) -> None:
        """Teach the models. The features are those that were predicted on."""
        if self.paused:
            return
        try:
            for model in self.models:
                if event_time_ms < model.until_ms:
                    model.learn(features, label)
        except Exception as error:
            raise ModelError(f"{model.name}: {type(error).__name__}: {error}") from error

    def _error(self, label: Label, prediction: Prediction) -> float:
        if self.kind == "regression":
            assert isinstance(prediction.value, float)
            return abs(float(label) - prediction.value)
        return float(prediction.value != label)

    def _show(self, watch: LiveWatch, value: float, model: str | None, drifts: list[Drift]) -> None:
        if watch.update(value):
            drifts.append(Drift(type(watch.detector).__name__, watch.watch.watched, model, value))

    def promote(self, name: str) -> list[int | None]:
        """Make this model the champion, and the champion a challenger. Gives each model's place before.

        A watch on the champion begins anew: it has seen another model.
        """
        former, place = self.models[0], self._place(name)
        former.role, self.models[place].role = "challenger", "champion"
        for watch in self.watches:
            if watch.watch.name is None and watch.watch.stream != "feature":
                watch.begin_anew()
        return self._move([place, *(index for index in range(len(self.models)) if index != place)])

    def _place(self, name: str) -> int:
        return next(index for index, model in enumerate(self.models) if model.name == name)

    def _move(self, places: list[int]) -> list[int | None]:
        self.models = [self.models[place] for place in places]
        self.scores = [self.scores[place] for place in places]
        self._assign_watches()
        return list(places)

    def reset(self, name: str, model: Any = None) -> list[int | None]:
        """Let a model begin anew, as declared or as ``model``, its scores and the watches on it too. Gives each model's
        place before."""
        places: list[int | None] = list(range(len(self.models)))
        place = self._place(name)
        self.models[place].begin_anew(model)
        self.scores[place] = Prequential(self.kind, self.scores[place].sliding)
        for index, watch in (*self._on_prediction, *self._on_error):
            if index == place:
                watch.begin_anew()
        places[place] = None  # what it said before was said by another
        return places

    def state(self) -> dict[str, Any]:
        """All that was learned, to be pickled before the next call."""
        return {
            "models": {
                m.name: (m.declared_version, m.generation, m.model, s)
                for m, s in zip(self.models, self.scores, strict=True)
            },
            "declared_champion": self._declared_champion,
            "paused": self.paused,
            "classes": self.classes.known,
            "watches": [(w.watch.version(), w.detector, w.seen) for w in self.watches],
        }

    def restore(self, state: dict[str, Any]) -> list[int | None]:
        """Go on from a state. A learner or a watch that is new, or was declared anew since, starts from the beginning.

        The champion is that of the state, unless another one is declared now. Gives for each model its place among the
        models of the state, None for one that starts.
        """
        kept, names = state["models"], list(state["models"])
        if self._declared_champion == state["declared_champion"]:
            self._take_order(names, champion=names[0])
        places: list[int | None] = []
        for index, model in enumerate(self.models):
            same = model.name in kept and kept[model.name][0] == model.declared_version
            places.append(names.index(model.name) if same else None)
            if same:
                _, generation, learned, self.scores[index] = kept[model.name]
                model.load(learned, generation)
        self.paused = state["paused"]
        self.classes.known = state["classes"]
        watches = list(state["watches"])
        for watch in self.watches:
            found = next((entry for entry in watches if entry[0] == watch.watch.version()), None)
            if found is not None:
                watches.remove(found)
                _, watch.detector, watch.seen = found
        return places

    def _take_order(self, names: list[str], champion: str) -> None:
        """The order and the champion that decisions have made."""
        if champion not in {model.name for model in self.models}:
            return
        self.models[0].role = "challenger"
        places = {name: place for place, name in enumerate(names)}
        order = range(len(self.models))
        self._move(sorted(order, key=lambda index: places.get(self.models[index].name, len(places) + index)))
        self.models[0].role = "champion"
