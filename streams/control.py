"""Decisions on a pipeline's models, as they lie in its topic ``control``: what may be asked of a task, and its answer.

    person, rule ──one transaction──▶ control[0] … control[n-1] ──▶ task 0 … task n-1 ──▶ decisions

Every partition holds every decision, so that a task reads its own partition only, as of any input. A batch takes
decisions first, as soon as they come and whatever their time: they are obeyed between two batches, and replayed there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from models.learner import LiveModel
from models.panel import Panel
from streams.schema import TIME_MS_MAX, Decoder, Event
from streams.versions import Versions, as_of

Action = Literal["promote", "save", "rollback", "reset", "pause", "resume"]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Words = Annotated[str, Meta(max_length=1_000)]

REMEMBERED = 1_000
"""Ids of decisions that a task remembers, to obey none twice."""


class Decision(Event, forbid_unknown_fields=True):
    """What somebody decided. ``by`` is a person or an alert; ``after`` how many decisions it was taken in the light of,
    ``stale_time_ms`` the record time from which on a task refuses it.

    promote  ``model`` is the champion from now on, and the champion a challenger
    save     all models as they are now can be gone back to as ``version``
    rollback ``model`` goes back to ``version``, and its scores begin anew
    reset    ``model`` begins anew: it forgets what it learned, and its scores
    pause    no model learns; they predict and are scored
    resume   they learn again

    Examples
    --------
    >>> decode(b'{"id": "1", "action": "reset", "model": "tree", "by": "ann", "why": "", "decided_time_ms": 0}').model
    'tree'
    """

    id: Name
    action: Action
    by: Name
    why: Words
    decided_time_ms: Annotated[int, Meta(ge=0, le=TIME_MS_MAX)]
    model: Name | None = None
    version: Name | None = None
    after: Annotated[int, Meta(ge=0)] | None = None
    stale_time_ms: Annotated[int, Meta(ge=0, le=TIME_MS_MAX)] | None = None


Places = list[int | None] | None
"""For each model its place before, None for one that begins anew. None: no model was moved."""


class Refused(Exception):
    """A decision that makes no sense; the message says why."""


decode = Decoder(Decision)
"""The decision that a record holds. Raises RecordRejected when it holds none."""


@dataclass(slots=True)
class Control:
    """What decisions have made of a task: how many were obeyed, and which were seen lately."""

    obeyed: int = 0
    seen: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def obey(self, decision: Decision, panel: Panel, versions: Versions, now_ms: int) -> Places:
        """Do it, or raise Refused and change nothing but that it was seen. Gives where the models stood before."""
        if decision.id in self.seen:
            raise Refused("it was taken before")
        self.seen.append(decision.id)
        if decision.after is not None and decision.after != self.obeyed:
            raise Refused(f"stale: it was taken after {decision.after} decisions, by now {self.obeyed} were obeyed")
        if decision.stale_time_ms is not None and now_ms >= decision.stale_time_ms:
            raise Refused(f"stale: it was to be obeyed until {as_of(decision.stale_time_ms)}, it is {as_of(now_ms)}")
        places = _ACTIONS[decision.action](decision, panel, versions, now_ms)
        self.obeyed += 1
        return places


def _named(decision: Decision, panel: Panel) -> LiveModel:
    for model in panel.models:
        if model.name == decision.model:
            return model
    names = ", ".join(model.name for model in panel.models)
    raise Refused(f"there is no model {decision.model!r}, only {names}")


def _promote(decision: Decision, panel: Panel, _versions: Versions, _now_ms: int) -> Places:
    model = _named(decision, panel)
    if model is panel.models[0]:
        raise Refused(f"{model.name} is the champion")
    if model.role == "baseline":
        raise Refused(f"{model.name} is a baseline")
    return panel.promote(model.name)


def _save(decision: Decision, panel: Panel, versions: Versions, now_ms: int) -> None:
    if decision.version is None:
        raise Refused("it says no version to save them as")
    known = [model.name for model in panel.models if decision.version in versions.labels(model.name)]
    if known:
        raise Refused(f"there is a version {decision.version!r} of {', '.join(known)}")
    for model in panel.models:
        versions.keep(model, decision.version, now_ms)


def _rollback(decision: Decision, panel: Panel, versions: Versions, now_ms: int) -> Places:
    model, labels = _named(decision, panel), versions.labels(decision.model or "")
    if decision.version not in labels:
        raise Refused(f"there is no version {decision.version!r} of {model.name}, only {', '.join(labels) or 'none'}")
    saved = versions.listed[model.name, decision.version]
    if saved.declared != model.declared_version:
        raise Refused(f"{decision.version!r} is of {saved.declared}, another declaration than {model.declared_version}")
    former = versions.get(model.name, decision.version)
    versions.keep(model, f"before {decision.id}", now_ms)
    return panel.reset(model.name, former)


def _reset(decision: Decision, panel: Panel, versions: Versions, now_ms: int) -> Places:
    model = _named(decision, panel)
    versions.keep(model, f"before {decision.id}", now_ms)
    return panel.reset(model.name)


def _pause(_: Decision, panel: Panel, _versions: Versions, _now_ms: int) -> None:
    if panel.paused:
        raise Refused("learning is paused")
    panel.paused = True


def _resume(_: Decision, panel: Panel, _versions: Versions, _now_ms: int) -> None:
    if not panel.paused:
        raise Refused("learning is not paused")
    panel.paused = False


_ACTIONS: dict[Action, Callable[[Decision, Panel, Versions, int], Places]] = {
    "promote": _promote,
    "save": _save,
    "rollback": _rollback,
    "reset": _reset,
    "pause": _pause,
    "resume": _resume,
}
