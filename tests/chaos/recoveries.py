"""How often tasks were brought back, as the workers' metrics tell while they live."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

from infra.up import Child

_ANSWER_S = 0.2
_COUNT = re.compile(r"^riverrun_recovery_seconds_count\{.*\} (\S+)$", re.MULTILINE)


@dataclass
class Recoveries:
    """The counts of all worker processes there were. What one did in its last moments before a kill is not seen."""

    by_process: dict[int, int] = field(default_factory=dict)

    def look(self, worker: Child, target: Path) -> None:
        """Ask a worker, if it answers at once, where the file has it that Prometheus would read."""
        if worker.running is None:
            return
        try:
            ((address,),) = (each["targets"] for each in json.loads(target.read_text()))
            with urlopen(f"http://{address}/metrics", timeout=_ANSWER_S) as answer:
                text = answer.read().decode()
        except OSError:  # stopped, starting or gone
            return
        self.by_process[worker.running.pid] = sum(int(float(count)) for count in _COUNT.findall(text))

    @property
    def total(self) -> int:
        return sum(self.by_process.values())
