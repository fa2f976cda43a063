"""``riverrun trace``: one event from its input to its prediction to its label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from infra.trace import Rejected, Trace, Traced

VALUE_CHARS_MAX = 300


def trace(
    event_id: Annotated[str, typer.Argument(help="Its name: what the field declared as id holds.")],
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", "-p", help="Whose event. Left out: of the only one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All that is known, as one JSON object.")] = False,
) -> None:
    """Follow one event: its record, features, what each model said, its label, alarms, and rejects that name it."""
    import msgspec
    from rich.console import Console

    from infra.cli.sql import root_of
    from infra.settings import Settings
    from infra.trace import trace as find
    from streams.errors import Declined

    settings = Settings.load()
    root = root_of(settings.home, pipeline)
    try:
        config = settings.kafka_python()
    except Declined as error:
        config, why = None, str(error)
    with Console(stderr=True).status("looking through the warehouse and the topics"):
        found = find(root, config, event_id)
    found.unasked = found.unasked if config else why
    if not found.events and not found.rejects:
        remedy = (
            'it may be on its way: `riverrun status` shows the lag; names of events: riverrun sql "FROM predictions"'
        )
        raise Declined(f"no event {event_id!r} was found", where=_where(found), remedy=remedy)
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    Console().print(shown(found))


def _where(found: Trace) -> str:
    searched = f"in the warehouse of {found.pipeline}"
    return f"{searched} alone, as {found.unasked}" if found.unasked else f"{searched} and its topics"


def shown(found: Trace) -> Any:
    """A table for rich, a line a step. What comes from events is text, never markup."""
    from rich.table import Column, Table

    from infra.cli.sql import cell

    where = Column("where", overflow="fold")
    table = Table("time (UTC)", "what", where, "", title_justify="left", caption_justify="left")
    table.title = cell(f"{found.pipeline}: event {found.event_id}")
    if found.unasked:
        table.caption = cell(f"The topics were not looked through: {found.unasked}")
    for event in found.events:
        for step in _steps(event):
            table.add_row(*(cell(part) for part in step))
        table.add_section()
    for reject in found.rejects:
        table.add_row(*(cell(part) for part in _rejected(reject)))
    return table


Step = tuple[Any, str, str, str]


def _steps(event: Traced) -> list[Step]:
    steps: list[Step] = [(_time(event.event_time_ms), "event", event.event.where, _cut(event.event.value))]
    features = ", ".join(f"{name}={_number(value)}" for name, value in event.features.items())
    steps.append(("", "features", "", features))
    for each in event.said:
        sure = "" if each.probability is None else f", P(true) {each.probability:.4g}"
        what = f"{each.model} {each.version} ({each.role}): {_number(each.prediction)}{sure}"
        steps.append(("", "predicted", "", what))
    if event.status == "scored" and event.label_record:
        delay = f"after {(event.label_delay_ms or 0) / 1000:,.3f} s"
        what = f"{_number(event.label)}, {delay}: {_cut(event.label_record.value)}"
        steps.append((_time(event.label_time_ms), "label", event.label_record.where, what))
        right = [each.model for each in event.said if each.prediction == event.label]
        was = f"scored and learned from; right: {', '.join(right) or 'none'}"
        steps.append(("", "outcome", "", was if isinstance(event.label, bool | str) else "scored and learned from"))
    else:
        why = {"expired": "no label came in time: never learned from"}.get(event.status, "waits for its label")
        steps.append(("", "outcome", "", why))
    for alarm in event.alarms:
        of = f" of {alarm.model}" if alarm.model else ""
        steps.append((_time(alarm.time_ms), "drift", "", f"{alarm.detector} on {alarm.watched}{of}: {alarm.value:.4g}"))
    return steps


def _rejected(reject: Rejected) -> Step:
    at = f" at {reject.field}" if reject.field else ""
    what = f"{reject.reason}{at}: {reject.detail}; {_cut(reject.record.value)}"
    return (_time(reject.record.timestamp_ms), "rejected", reject.record.where, what)


def _time(ms: int | None) -> Any:
    from datetime import UTC, datetime

    try:
        return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # outside of the calendar
        return f"{ms} ms"


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _cut(value: str | None) -> str:
    if value is None:
        return "(the record is gone)"
    return value if len(value) <= VALUE_CHARS_MAX else f"{value[:VALUE_CHARS_MAX]}…"
