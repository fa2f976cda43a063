"""Find mistakes in a declaration before anything runs. Each finding says what is wrong, where, and how to mend it."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
from river import base

from models.learner import final_step
from streams.cleaning import Require
from streams.errors import Declined
from streams.pipeline import Pipeline
from streams.records import PUBLISHED, ScoreValues
from streams.schema import Event, is_number, is_time
from streams.windows import Aggregate

SCORES = tuple(field.name for field in msgspec.structs.fields(ScoreValues) if field.name != "n")


class Finding(NamedTuple):
    """One mistake: what, where in the declaration, and the remedy."""

    what: str
    where: str
    remedy: str


def check(pipeline: Pipeline) -> list[Finding]:
    """All mistakes that can be seen without data, in the order of the declaration."""
    return [
        *_names(pipeline),
        *_fields_of_inputs(pipeline),
        *_windows(pipeline),
        *_functions(pipeline),
        *_learners(pipeline),
        *_watches(pipeline),
        *_alerts(pipeline),
    ]


def _names(pipeline: Pipeline) -> Iterator[Finding]:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,99}", pipeline.name):
        yield Finding(
            f"{pipeline.name!r} cannot be the name of topics and folders",
            "name",
            'use lower-case letters, digits, "-" and "_"',
        )
    for what in ("partitions", "batch_max", "checkpoint_every", "sliding_periods", "versions_max"):
        if getattr(pipeline, what) < 1:
            yield Finding(f"{what} is {getattr(pipeline, what)}", what, f"give {what} a number from 1")
    lengths = {"expire_after": pipeline.labels.expire_after}
    lengths |= {what: getattr(pipeline, what) for what in ("report_every", "version_every", "replay_max")}
    for what, length in lengths.items():
        if length is not None and length < timedelta(milliseconds=1):
            yield Finding(f"{what} is {length}", what, f"give {what} a timedelta of at least 1 ms")
    topics = [stream.topic for stream in pipeline.inputs]
    outputs = {pipeline.topic(name) for name in (*PUBLISHED, "journal", "recovery", "control")}
    for topic in topics:
        if topics.count(topic) > 1 or topic in outputs:
            yield Finding(f"topic {topic} is used twice", f"input {topic}", "give each input a topic of its own")
    names = [learner.name for learner in pipeline.learners]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Finding(f"two learners are called {name}", f"learner {name}", "give each learner a name of its own")


def _fields_of_inputs(pipeline: Pipeline) -> Iterator[Finding]:
    for stream in pipeline.inputs:
        roles = {"key": stream.key, "time": stream.time}
        roles |= {role: getattr(stream, role) for role in ("id", "joins") if hasattr(stream, role)}
        for role, name in roles.items():
            yield from _unknown_field(stream.type, name, f"{role} of {stream.topic}")
        time = _fields(stream.type).get(stream.time)
        if time is not None and not is_time(time):
            yield Finding(f"{stream.time} is no time", f"time of {stream.topic}", "use a datetime, or a number of ms")
        for rule in stream.clean:
            if not isinstance(rule, Require):
                yield from _unknown_field(stream.type, rule.field, f"{type(rule).__name__} of {stream.topic}")
    for table in pipeline.tables:
        yield from _unknown_field(table.type, table.key, f"key of {table.path}")


def _fields(kind: type[Event]) -> dict[str, Any]:
    """Field -> its type."""
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def _unknown_field(kind: type[Event], name: str, where: str) -> Iterator[Finding]:
    known = _fields(kind)
    if name not in known:
        yield Finding(
            f"{kind.__name__} has no field {name!r}",
            where,
            f"use one of {', '.join(known)}, or add it to {kind.__name__}",
        )


def _windows(pipeline: Pipeline) -> Iterator[Finding]:
    event_fields = _fields(pipeline.events.type)
    for stream in pipeline.inputs:
        for aggregate in stream.aggregates:
            for name in (*aggregate.window.by, *([aggregate.field] if aggregate.field else [])):
                yield from _unknown_field(stream.type, name, aggregate.name)
            if not is_number(_fields(stream.type).get(aggregate.field or "", float)):
                yield Finding(f"{aggregate.field} is no number", aggregate.name, "take the mean of a number")
            if aggregate.window.over.total_seconds() <= 0:
                yield Finding("the window has no length", aggregate.name, "give `over` a positive timedelta")
            for name in aggregate.window.by:
                if name not in event_fields and not _read_by_key(pipeline.features, aggregate):
                    yield Finding(
                        f"{pipeline.events.type.__name__} has no field {name!r} to read the window at",
                        aggregate.name,
                        "read it with `now.read(window, key)`, or add the field to the event",
                    )


def _read_by_key(function: Any, aggregate: Aggregate) -> bool:
    """Whether the module of the function reads the window at a key of choice: ``now.read(window, key)``."""
    module = inspect.getmodule(function)
    names = [name for name, value in vars(module).items() if value is aggregate] if module else []
    try:
        source = inspect.getsource(module) if module else ""
    except (OSError, TypeError):
        return False
    return any(re.search(rf"\.read\(\s*{name}\b", source) for name in names)


def _functions(pipeline: Pipeline) -> Iterator[Finding]:
    functions: list[tuple[str, Any, int]] = [("features", pipeline.features, 2), ("target", pipeline.target, 1)]
    for stream in pipeline.inputs:
        functions += [(f"clean of {stream.topic}", rule.holds, 1) for rule in stream.clean if isinstance(rule, Require)]
    for where, function, arity in functions:
        yield from _importable(function, where)
        try:
            inspect.signature(function).bind(*range(arity))
        except (TypeError, ValueError):
            yield Finding(
                f"{where} cannot be called with {arity} argument(s)",
                where,
                "def features(event, now)" if arity == 2 else "give it one parameter, the record",
            )
    try:
        _ = pipeline.kind
    except Declined as declined:
        yield Finding(declined.what, "target", declined.remedy)


def _importable(value: Any, where: str) -> Iterator[Finding]:
    try:
        pickle.dumps(value)
    except Exception as error:
        name = getattr(value, "__name__", type(value).__name__)
        yield Finding(
            f"{name} does not pickle ({type(error).__name__})",
            where,
            "use a function with a name, defined at the top level of the file, in place of a lambda or an inner one",
        )


def _learners(pipeline: Pipeline) -> Iterator[Finding]:
    try:
        kind = pipeline.kind
    except Declined:
        return
    wanted = {"binary": base.Classifier, "multiclass": base.Classifier, "regression": base.Regressor}[kind]
    for learner in pipeline.learners:
        where = f"learner {learner.name}"
        yield from _importable(learner.model, where)
        last = final_step(learner.model)
        detector = isinstance(last, base.AnomalyDetector) and kind == "binary"
        if not isinstance(last, wanted) and not detector:
            yield Finding(
                f"{type(last).__name__} cannot predict a {kind} target", where, f"end the model in a {wanted.__name__}"
            )
        if learner.learn_until is not None and learner.learn_until.tzinfo is None:
            yield Finding("learn_until has no time zone", where, "write datetime(…, tzinfo=UTC)")
        for path in _unseeded(learner.model, type(learner.model).__name__):
            yield Finding(f"{path} has no seed", where, "give it seed=… so that a replay draws the same numbers")


def _unseeded(model: Any, path: str) -> Iterator[str]:
    """Where a ``seed`` parameter was left at None, at any depth of a River model."""
    parts: list[tuple[str, Any]] = []
    if isinstance(model, base.Base):
        parts = list(model._get_params().items())  # parts are River objects, or (their class, their parameters)
    elif isinstance(model, dict):
        parts = list(model.items())
    elif isinstance(model, list | tuple):
        parts = [(getattr(part, "__name__", ""), part) for part in model]
    for name, part in parts:
        if name == "seed" and part is None:
            yield path
        elif not isinstance(part, type):
            yield from _unseeded(part, f"{path}.{name}" if isinstance(name, str) and name else path)


def _watches(pipeline: Pipeline) -> Iterator[Finding]:
    names = {learner.name for learner in pipeline.learners}
    for watch in pipeline.drift:
        if watch.stream != "feature" and watch.name is not None and watch.name not in names:
            yield Finding(
                f"there is no learner {watch.name!r} to watch", watch.title, f"use one of {', '.join(sorted(names))}"
            )
        if watch.every < 1:
            yield Finding(f"every is {watch.every}", watch.title, "use a number from 1")
        for path in _unseeded(watch.detector, type(watch.detector).__name__):
            yield Finding(f"{path} has no seed", watch.title, "give it seed=… so that a replay draws the same numbers")


def _alerts(pipeline: Pipeline) -> Iterator[Finding]:
    names, learners = [alert.name for alert in pipeline.alerts], [learner.name for learner in pipeline.learners]
    for alert in pipeline.alerts:
        where, measure = f"alert {alert.name}", alert.measure
        if not 1 <= len(alert.name) <= 100 or not alert.name.isprintable() or names.count(alert.name) > 1:
            yield Finding("its name is not one", where, "give each alert a name of its own, of 1 to 100 letters")
        if (alert.above is None) == (alert.below is None):
            yield Finding("it has no bound, or two", where, "give it either `above` or `below`")
        for what in ("over", "windows"):
            if getattr(alert, what) < 1:
                yield Finding(f"{what} is {getattr(alert, what)}", where, "use a number from 1")
        if measure.score is not None and measure.score not in SCORES:
            yield Finding(f"there is no score {measure.score!r}", where, f"use one of {', '.join(SCORES)}")
        for name in measure.models:
            if name not in learners:
                yield Finding(f"there is no learner {name!r}", where, f"use one of {', '.join(learners)}")


def refuse_mistakes(pipeline: Pipeline, where: str) -> None:
    """Raise Declined with all findings, if there are any."""
    findings = check(pipeline)
    if findings:
        lines = [f"{finding.what} ({finding.where}): {finding.remedy}" for finding in findings]
        raise Declined(
            "the pipeline has mistakes:\n  - " + "\n  - ".join(lines), where=where, remedy="mend the file as said above"
        )
