"""Decisions on a pipeline's models, as they lie in its topic ``control``: what may be asked of a task, and its answer.

    person, rule ──one transaction──▶ control[0] … control[n-1] ──▶ task 0 … task n-1 ──▶ decisions

Every partition holds every decision, so that a task reads its own partition only, as of any input. A batch takes
decisions first, as soon as they come and whatever their time: they are obeyed between two batches, and replayed there.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from models.panel import Panel
from streams.schema import TIME_MS_MAX, Decoder, Event

Action = Literal["promote", "reset", "pause", "resume"]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Words = Annotated[str, Meta(max_length=1_000)]

REMEMBERED = 1_000
"""Ids of decisions that a task remembers, to obey none twice."""


class Decision(Event, forbid_unknown_fields=True):
    """What somebody decided. ``by`` is a person or a rule; ``after`` how many decisions it was taken in the light of.

    promote  ``model`` is the champion from now on, and the champion a challenger
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
    after: Annotated[int, Meta(ge=0)] | None = None


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

    def obey(self, decision: Decision, panel: Panel) -> Places:
        """Do it, or raise Refused and change nothing but that it was seen. Gives where the models stood before."""
        if decision.id in self.seen:
            raise Refused("it was taken before")
        self.seen.append(decision.id)
        if decision.after is not None and decision.after != self.obeyed:
            raise Refused(f"stale: it was taken after {decision.after} decisions, by now {self.obeyed} were obeyed")
        places = _ACTIONS[decision.action](decision, panel)
        self.obeyed += 1
        return places


def _named(decision: Decision, panel: Panel) -> str:
    names = [model.name for model in panel.models]
    if decision.model not in names:
        raise Refused(f"there is no model {decision.model!r}, only {', '.join(names)}")
    return decision.model


def _promote(decision: Decision, panel: Panel) -> Places:
    name, champion = _named(decision, panel), panel.models[0]
    role = next(model.role for model in panel.models if model.name == name)
    if name == champion.name:
        raise Refused(f"{name} is the champion")
    if role == "baseline":
        raise Refused(f"{name} is a baseline")
    return panel.promote(name)


def _reset(decision: Decision, panel: Panel) -> Places:
    return panel.reset(_named(decision, panel))


def _pause(_: Decision, panel: Panel) -> None:
    if panel.paused:
        raise Refused("learning is paused")
    panel.paused = True


def _resume(_: Decision, panel: Panel) -> None:
    if not panel.paused:
        raise Refused("learning is not paused")
    panel.paused = False


_ACTIONS = {"promote": _promote, "reset": _reset, "pause": _pause, "resume": _resume}
