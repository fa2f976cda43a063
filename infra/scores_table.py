"""A scoreboard as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from connectors.scoreboard import ModelScore


def scores_table(scores: Sequence[ModelScore], title: str) -> Table:
    """One row a model, one column a score that any of them has."""
    names = [name for name in ModelScore._fields[3:] if any(getattr(score, name) is not None for score in scores)]
    table = Table(title=title, title_justify="left")
    for name in ("model", "role"):
        table.add_column(name)
    for name in ("n", *names):
        table.add_column(name.replace("_", " "), justify="right")
    for score in scores:
        values = [getattr(score, name) for name in names]
        cells = ["–" if value is None else f"{value:.4f}" for value in values]
        style = "bold" if score.role == "champion" else None
        table.add_row(score.model, score.role, f"{score.n:,}", *cells, style=style)
    return table
