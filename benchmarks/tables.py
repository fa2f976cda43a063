"""Tables, for the terminal and for docs/performance.md, and how figures are written in them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

Raw = dict[str, Any]
"""A run as it is kept in build/bench.json."""

WIDTH = 200
"""Of the terminal's tables: they are not cut where they are piped."""


class Tabled(NamedTuple):
    """A table, and what must be said with it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def show(table: Tabled, console: Console) -> None:
    """Print it."""
    made = Table(*table.columns, title=table.title, title_justify="left")
    for row in table.rows:
        made.add_row(*row)
    console.print(made)
    for note in table.notes:
        console.print(f"  {note}", style="dim", soft_wrap=True)


def markdown(table: Tabled) -> str:
    """The same in Markdown; columns after the first are aligned right where all of them hold figures.

    >>> print(markdown(Tabled("Speed", ["who", "events/s"], [["a", "1,000"]], ["On one machine."])))
    ### Speed
    <BLANKLINE>
    | who | events/s |
    |---|---:|
    | a | 1,000 |
    <BLANKLINE>
    - On one machine.
    <BLANKLINE>
    """
    numeric = [all(_is_figure(row[place]) for row in table.rows) for place in range(len(table.columns))]
    ruler = "".join("---:|" if figures and place else "---|" for place, figures in enumerate(numeric))
    rows = [f"| {' | '.join(row)} |" for row in table.rows]
    notes = [f"- {note}" for note in table.notes]
    lines = [f"### {table.title}", "", f"| {' | '.join(table.columns)} |", f"|{ruler}", *rows, ""]
    return "\n".join([*lines, *notes, ""] if notes else lines)


def _is_figure(text: str) -> bool:
    return text[:1].isdigit() or text[:1] in {"−", "-", "–", "", "<", "≈"}


def grouped(raws: Iterable[Raw], *names: str) -> dict[tuple[Any, ...], list[Raw]]:
    """Runs by these fields, in the order they came.

    >>> grouped([{"a": 1, "b": 2}, {"a": 1, "b": 3}], "a")
    {(1,): [{'a': 1, 'b': 2}, {'a': 1, 'b': 3}]}
    """
    found: dict[tuple[Any, ...], list[Raw]] = {}
    for raw in raws:
        found.setdefault(tuple(raw[name] for name in names), []).append(raw)
    return found


def rates(runs: Iterable[Raw], of: str = "seconds") -> list[float]:
    """Events a second of each run that has not failed; none of one so short that what was taken off took all of it."""
    return [run["events"] / run[of] for run in runs if "failed" not in run and run[of] > 0]


def median(values: Iterable[float]) -> float | None:
    """Of any values; None of none."""
    found = list(values)
    return statistics.median(found) if found else None


def figure(value: float | None, places: int = 0) -> str:
    """A number as it stands in a table.

    >>> figure(12345.6), figure(0.456, 2), figure(None)
    ('12,346', '0.46', '–')
    """
    return "–" if value is None else f"{value:,.{places}f}"


def spread(values: Sequence[float], places: int = 0) -> str:
    """The least and the most."""
    return f"{min(values):,.{places}f} – {max(values):,.{places}f}" if values else "–"
