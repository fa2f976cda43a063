"""``riverrun status``: what the monitor knows, in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from infra.monitor.answers import Overview

Url = Annotated[str, typer.Option(help="Where the monitor is.")]
SCORES = ("accuracy", "auc", "f1", "log_loss", "mae", "rmse", "r2")


def status(
    url: Url = "http://127.0.0.1:8642",
    as_json: Annotated[bool, typer.Option("--json", help="All that the monitor says, as one JSON array.")] = False,
) -> None:
    """Show each pipeline of the monitor: its tasks, models and scores."""
    import msgspec
    from rich.console import Console

    from infra.monitor.client import Client
    from infra.settings import Settings

    client = Client(url, Settings.load())
    found = [client.overview(name) for name in client.pipelines()]
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    Console().print(shown(found))


def shown(overviews: list[Overview]) -> Any:
    """Tables of pipelines, for rich. Names are text from people: none of it is markup."""
    from rich.console import Group

    return Group(*(part for each in overviews for part in (_tasks(each), _models(each))))


def _tasks(overview: Overview) -> Any:
    from rich.markup import escape
    from rich.table import Table

    reported = overview.cumulative
    totals = {each.name: each.count for each in reported.records} if reported else {}
    rejects = sum(each.count for each in reported.rejects) if reported else 0
    said = ", ".join(f"{escape(name)} {count:,}" for name, count in totals.items()) or "nothing reported yet"
    pending = reported.pending_labels if reported else 0
    title = (
        f"{escape(overview.name)}: {said}; rejects {rejects:,}, pending labels {pending:,}, alarms {overview.alarms}"
    )
    table = Table("task", "journal record", "lag", "to replay", "learns", title=title, title_justify="left")
    for each in overview.tasks:
        sequence = "-" if each.journal_sequence is None else str(each.journal_sequence)
        learns = "yes" if each.learns else "paused"
        replay = f"{each.to_replay_records:,}"
        if each.recovery:
            replay = f"recovering: {each.recovery.replayed:,} of {each.recovery.total:,}"
        table.add_row(str(each.task), sequence, f"{each.lag_records:,}", replay, learns)
    if overview.alerts:
        table.title = f"{title}; ALERT: {escape(', '.join(overview.alerts))}"
    if overview.tasks_problem:
        table.caption = escape(overview.tasks_problem)
    return table


def _models(overview: Overview) -> Any:
    from rich.markup import escape
    from rich.table import Table

    so_far = overview.cumulative.models if overview.cumulative else []
    lately = {each.model: each.values for each in (overview.sliding.models if overview.sliding else [])}
    used = [name for name in SCORES if any(getattr(each.values, name) is not None for each in so_far)]
    table = Table("model", "role", "version", "scored", *(f"{name} (lately)" for name in used))
    for each in so_far:
        roles, versions = (", ".join(escape(one.name) for one in many) for many in (each.roles, each.versions))
        recent = lately.get(each.model)
        scores = [f"{number(each.values, name)} ({number(recent, name)})" for name in used]
        table.add_row(escape(each.model), roles, versions, f"{each.values.n:,}", *scores)
    return table


def number(values: object, name: str) -> str:
    """A score for people, "-" where there is none."""
    value = getattr(values, name, None)
    return "-" if value is None else f"{value:.4g}"
