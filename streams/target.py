"""From a typed label record to the label itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.learner import Kind, Label
from streams.errors import RecordRejected
from streams.pipeline import Pipeline
from streams.schema import NUMBER_MAX, Event

CLASS_CHARS_MAX = 200


def _class_of(label: Any) -> str:
    text = str(label)
    text.encode()  # half a surrogate pair cannot be written
    return text


_LABEL_OF: dict[Kind, Callable[[Any], Label]] = {"binary": bool, "multiclass": _class_of, "regression": float}


class Target:
    """Asks a pipeline's target function."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._function, self._label_of = pipeline.target, _LABEL_OF[pipeline.kind]

    def __call__(self, event: Event) -> Label:
        """The label: a bool, a text or a float, as the kind of the pipeline is. Raises RecordRejected without one."""
        try:
            said = self._function(event)
            label = None if said is None else self._label_of(said)
        except Exception as error:
            raise RecordRejected(f"target() raised {type(error).__name__}: {error}", reason="target_failed") from error
        if label is True or label is False:
            return label
        if label is None:
            raise RecordRejected("target() gave None", reason="target_failed")
        if isinstance(label, float) and not -NUMBER_MAX <= label <= NUMBER_MAX:
            raise RecordRejected(f"the label is {label}", reason="out_of_range", field="target")
        if isinstance(label, str) and len(label) > CLASS_CHARS_MAX:
            what = f"the label has {len(label):,} characters, a class {CLASS_CHARS_MAX} at the most"
            raise RecordRejected(what, reason="too_large", field="target")
        return label
