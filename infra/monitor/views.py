"""A picture as the API's answers."""

from __future__ import annotations

from collections.abc import Iterable

from infra.monitor.answers import (
    Alarm,
    Alarms,
    Alerts,
    Decided,
    Decisions,
    Declared,
    Head,
    Kept,
    Overview,
    TaskHead,
    Told,
    Versions,
    Windows,
)
from infra.monitor.drawing import Drawing
from infra.monitor.picture import Picture
from streams.control import Decision
from streams.records import DecisionRecord, VersionRecord


def head(picture: Picture) -> Head:
    """The pipeline in short."""
    windows = picture.reports.windows
    return Head(
        name=picture.pipeline.name,
        tasks=picture.pipeline.partitions,
        models=[learner.name for learner in picture.pipeline.learners],
        paused_tasks=paused(picture),
        newest_time_ms=windows[-1][1] if windows else None,
        alerts=picture.judging.lasting,
        changes=picture.changes,
    )


def overview(drawing: Drawing, now_ms: int, tasks: list[TaskHead], problem: str | None) -> Overview:
    """All of one pipeline at a glance."""
    picture = drawing.picture
    reports, pipeline = picture.reports, picture.pipeline
    newest = reports.windows[-1] if reports.windows else None
    for each in tasks:
        each.learns = each.task not in picture.judging.paused
    return Overview(
        name=pipeline.name,
        asked_time_ms=now_ms,
        paused_tasks=paused(picture),
        tasks=tasks,
        tasks_problem=problem,
        newest=reports.merged(newest) if newest else None,
        sliding=drawing.sliding(),
        cumulative=drawing.cumulative(),
        alarms=len(picture.alarms),
        alerts=picture.judging.lasting,
    )


def paused(picture: Picture) -> list[int]:
    """The tasks in which no model learns."""
    return sorted(picture.judging.paused)


def windows(picture: Picture, last: int) -> Windows:
    """The newest windows of event time."""
    reports = picture.reports
    return Windows(picture.pipeline.name, [reports.merged(window) for window in reports.windows[-last:]])


def received(picture: Picture, last: int) -> Windows:
    """The newest windows of processing time."""
    reports = picture.reports
    newest = reports.received_windows()[-last:]
    return Windows(picture.pipeline.name, [reports.received(window) for window in newest])


def alarms(picture: Picture, last: int) -> Alarms:
    """The newest alarms."""
    newest = sorted(picture.alarms, reverse=True)[:last]
    return Alarms(picture.pipeline.name, [Alarm(_received_ms(place), picture.alarms[place]) for place in newest])


def alerts(picture: Picture, last: int) -> Alerts:
    """The alerts that are declared, and the newest of what was told of them."""
    newest, lasting = sorted(picture.alerts, reverse=True)[:last], picture.judging.lasting
    declared = [
        Declared(each.name, each.measure.title, each.bound, each.over, each.windows, each.pauses, each.name in lasting)
        for each in picture.pipeline.alerts
    ]
    return Alerts(
        picture.pipeline.name, declared, [Told(_received_ms(place), picture.alerts[place]) for place in newest]
    )


def decisions(picture: Picture, last: int) -> Decisions:
    """The newest decisions, with their answers, also those of decisions that are no longer held themselves."""
    answers: dict[str, list[DecisionRecord]] = {}
    for place in sorted(picture.answers):
        answer = picture.answers[place]
        answers.setdefault(answer.decision, []).append(answer)
    found = {each.id: _decided(picture, each.id, each, answers.get(each.id, [])) for each in picture.asked.values()} | {
        name: _decided(picture, name, given[0], given) for name, given in answers.items()
    }
    newest = sorted(found.values(), key=lambda each: (each.decided_time_ms, each.id), reverse=True)
    return Decisions(picture.pipeline.name, newest[:last], _obeyed(picture))


def _obeyed(picture: Picture) -> int | None:
    """How many decisions each task has obeyed, by its newest answer."""
    numbers = dict.fromkeys(range(picture.pipeline.partitions), 0)
    for answer in picture.answers.values():
        numbers[answer.task] = max(numbers[answer.task], answer.number)
    return numbers[0] if len(set(numbers.values())) == 1 else None


def _decided(picture: Picture, name: str, said: Decision | DecisionRecord, answers: list[DecisionRecord]) -> Decided:
    return Decided(
        name,
        said.action,
        said.model,
        said.version,
        said.by,
        said.why,
        said.decided_time_ms,
        answers=answers,
        waiting=sorted(set(range(picture.pipeline.partitions)) - {each.task for each in answers}),
    )


def versions(picture: Picture) -> Versions:
    """What can be gone back to."""
    found: dict[tuple[str, str], Kept] = {}
    for told in _by_time(picture.versions.values()):
        known = found.get((told.model, told.label))
        tasks = sorted({told.task, *(known.tasks if known else [])})
        kept = Kept(told.model, told.label, told.version, told.time_ms, tasks, told.scores)
        found[told.model, told.label] = kept
    newest_first = sorted(found.values(), key=lambda each: each.time_ms, reverse=True)
    return Versions(picture.pipeline.name, sorted(newest_first, key=lambda each: each.model))


def _by_time(told: Iterable[VersionRecord]) -> list[VersionRecord]:
    return sorted(told, key=lambda each: (each.time_ms, each.task))


def _received_ms(place: str) -> int:
    return int(place.partition("/")[0])
