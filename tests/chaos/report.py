"""What became of a run under chaos: for people as a table, for machines as build/chaos.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table


@dataclass(frozen=True)
class Report:
    """All counts. ``lost``, ``doubled`` and ``unequal`` are of the topics and the warehouse together."""

    events: int
    faults: dict[str, int]
    recoveries: int
    lost: int
    doubled: int
    unequal: int
    longest_unavailable_s: float
    states_unequal: int
    records_compared: int
    records_published: int
    faults_left_out: dict[str, int]
    restarts: dict[str, int]
    seed: int
    chaos_s: float
    total_s: float

    @property
    def nothing_happened(self) -> bool:
        """Whether the run ended as if it had not been disturbed."""
        return not (self.lost or self.doubled or self.unequal or self.states_unequal)

    def write(self, path: Path) -> None:
        """As JSON, whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps(asdict(self), indent=2) + "\n")
        scratch.replace(path)

    def table(self) -> Table:
        """For a terminal."""
        table = Table("chaos", f"seed {self.seed}", title=f"{self.chaos_s:.0f} s of chaos, {self.total_s:.0f} s in all")
        table.columns[1].justify = "right"
        for name, value in asdict(self).items():
            if name in {"seed", "chaos_s", "total_s"}:
                continue
            if isinstance(value, dict):
                table.add_row(name.replace("_", " "), f"{sum(value.values()):,}")
                for kind, count in sorted(value.items()):
                    table.add_row(f"  {kind.replace('_', ' ')}", f"{count:,}", style="dim")
            else:
                table.add_row(name.replace("_", " "), f"{value:,.1f}" if isinstance(value, float) else f"{value:,}")
        return table
