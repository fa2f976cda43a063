"""A scoreboard as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from connectors.scoreboard import ModelScore


def scores_table(scores: Sequence[ModelScore], title: str) -> Table:
    """One row a model, one column a score that any of them has. Fits into 80 columns."""
    names = [name for name in ModelScore._fields[3:] if any(getattr(score, name) is not None for score in scores)]
    labels = max((score.n for score in scores), default=0)
    table = Table(
        title=f"{title}: {labels:,} labels",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in ("model", "role"):
        table.add_column(name, no_wrap=True)
    for name in names:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for score in scores:
        values = [getattr(score, name) for name in names]
        style = "bold" if score.role == "champion" else None
        table.add_row(
            score.model, score.role, *("–" if value is None else f"{value:.4f}" for value in values), style=style
        )
    return table
