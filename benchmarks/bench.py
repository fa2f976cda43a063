"""How fast, beside the bare River loop and others: ``make bench``, or ``python -m benchmarks.bench``.

    build/bench.json    on what it ran, and every single run
    build/bench.md      the tables, for docs/performance.md

Every contender runs in a process of its own, on the same broker and stream, one after the other, and all of them again.
Figures are ratios within one run: machines differ, and the same one differs from hour to hour.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import peers
from benchmarks.contenders import CONTENDERS
from benchmarks.options import Options
from benchmarks.sections import bytes_kept, latency, memory, recovery, saturation, scaling, sink, startup
from benchmarks.tables import WIDTH, Raw, Tabled, markdown, show
from benchmarks.targets import against_targets
from benchmarks.workload import NAMES
from infra.kafka_install import KAFKA_VERSION

SECTIONS: dict[str, Any] = {
    "startup": startup,
    "saturation": saturation,
    "latency": latency,
    "recovery": recovery,
    "sink": sink,
    "scaling": scaling,
    "bytes": bytes_kept,
    "memory": memory,
}
"""Name -> module with ``measure`` and ``tables``, in the order they run."""

PEERS = sorted({each.peer for each in CONTENDERS.values() if each.peer})


def main() -> None:
    """Run what was asked for; after each section write what there is."""
    given = _arguments()
    options = Options(given.scale, given.repeats, given.workloads.split(","), given.contenders.split(","))
    print_to = Console(width=WIDTH)
    found: dict[str, list[Raw]] = {}
    about = {**_about(), "arguments": vars(given) | {"out": str(given.out)}}
    for name in given.only.split(","):
        began_s, found[name] = time.monotonic(), []
        for raw in SECTIONS[name].measure(_knowing(options, found)):
            found[name].append(raw)
            _progress(name, raw)
        about[f"seconds of {name}"] = round(time.monotonic() - began_s)
        tables = SECTIONS[name].tables(found[name])
        for table in tables:
            show(table, print_to)
        _write(given.out, about, found)
    show(against_targets(found), print_to)


def _arguments() -> Any:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between them")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of events")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workloads", default=",".join(NAMES))
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument("--out", type=Path, default=Path("build"), help="the folder for bench.json and bench.md")
    given = parser.parse_args()
    for asked, known in ((given.only, SECTIONS), (given.workloads, NAMES), (given.contenders, CONTENDERS)):
        if unknown := set(asked.split(",")) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return given


def _knowing(options: Options, found: dict[str, list[Raw]]) -> Options:
    return options._replace(saturated=found.get("saturation", []))


def _progress(section: str, raw: Raw) -> None:
    shown = {name: round(value, 3) if isinstance(value, float) else value for name, value in raw.items()}
    print(f"{section}: {json.dumps(shown, default=str)[:WIDTH]}", file=sys.stderr, flush=True)


def _about() -> dict[str, Any]:
    """On what it ran."""
    git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    names = ("river", "confluent-kafka", "msgspec")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git,
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        **{name: version(name) for name in names},
        "peers": {name: peers.versions_of(name) for name in PEERS},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _write(folder: Path, about: dict[str, Any], found: dict[str, list[Raw]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    kept = {"about": about, "sections": found}
    (folder / "bench.json").write_text(json.dumps(kept, indent=1) + "\n")
    tables: list[Tabled] = [table for name, raws in found.items() for table in SECTIONS[name].tables(raws)]
    told = "\n".join(f"- {name}: {value}" for name, value in about.items())
    text = "\n".join(markdown(table) for table in [*tables, against_targets(found)])
    (folder / "bench.md").write_text(f"{told}\n\n{text}")


if __name__ == "__main__":
    main()
