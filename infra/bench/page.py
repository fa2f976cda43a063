"""The tables of docs/capacity.md, made from infra/bench/costs.json: ``python -m infra.bench.page``.

``--measure`` measures the problems of infra/bench/problems anew first, about three minutes. Let nothing else run: while
others keep a core busy a problem is measured again, ``ATTEMPTS`` times at the most, and the quietest time counts.
"""

from __future__ import annotations

import os
import platform
import re
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil

from infra.bench.costs import Costs
from infra.bench.measure import Duration, measure
from infra.bench.plan import Assumed, plan, recovery_s, state_of
from infra.bench.shown import assumptions, cells, measured, progress
from infra.bench.stream import MadeUp
from infra.fixed_hashes import with_fixed_hashes
from streams.pipeline import load_pipeline

FOLDER = Path(__file__).parent
COSTS, PAGE = FOLDER / "costs.json", FOLDER.parents[1] / "docs" / "capacity.md"
PROBLEMS = {
    # file in infra/bench/problems: what it is called
    "bench_logistic": "logistic, 3 numbers",
    "bench_per_key": "1,000 keys, a logistic each",
    "bench_tree": "tree, 20 numbers",
    "bench_forest": "forest of 10, 20 numbers",
}
RATES = (100_000, 1_000_000, 10_000_000)
LOADED_MB = (1, 10, 100, 500)
REMEMBERED_S = {"a minute": 60, "an hour": 3_600, "a day": 86_400}
ATTEMPTS, OTHERS_MAX = 3, 0.3
_BLOCK = re.compile(r"(<!-- made: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


class Measured(msgspec.Struct, kw_only=True):
    """What costs.json holds: on which machine, when, and the costs of each problem."""

    machine: str
    date: str
    problems: dict[str, Costs]


def main() -> None:
    """Measure if asked to; then write the page's tables."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure the problems anew")
    if parser.parse_args().measure:
        with_fixed_hashes()
        found = Measured(
            machine=_machine(),
            date=datetime.now(UTC).date().isoformat(),
            problems={name: _measure(name) for name in PROBLEMS},
        )
        COSTS.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    PAGE.write_text(rewritten(PAGE.read_text(), load()))


def load() -> Measured:
    """What was measured last."""
    return msgspec.json.decode(COSTS.read_bytes(), type=Measured)


def rewritten(page: str, found: Measured) -> str:
    """The page with its tables as they follow from these costs; all else as it was."""
    blocks = _blocks(found)
    return _BLOCK.sub(lambda match: f"{match[1]}{blocks[match[2]]}\n{match[3]}", page)


def _measure(name: str) -> Costs:
    """The costs of a problem, of the time at which others disturbed it least."""
    found: list[Costs] = []
    while len(found) < ATTEMPTS and (not found or found[-1].others_cores > OTHERS_MAX):
        found.append(_measure_once(name))
    return min(found, key=lambda costs: costs.others_cores)


def _measure_once(name: str) -> Costs:
    file = FOLDER / "problems" / f"{name}.py"
    pipeline = load_pipeline(file)
    stream = MadeUp(pipeline, 1_000, 1_000, round(time.time() - 3_600) * 1_000)
    with progress(name) as tell:
        return measure(file, pipeline, stream, Duration(6, 6), tell)


def _machine() -> str:
    try:
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        names = []
    memory_gb = psutil.virtual_memory().total / 2**30
    model = names[0] if names else platform.machine()
    return (
        f"{os.cpu_count()} cores ({model}), {memory_gb:.0f} GB, {platform.system()}, Python {platform.python_version()}"
    )


def _blocks(found: Measured) -> dict[str, str]:
    named = {PROBLEMS[name]: costs for name, costs in found.problems.items()}
    plans = {f"plan-{rate}": _plans(named, rate) for rate in RATES}
    return {
        "machine": f"Measured on {found.date}: {found.machine}. {_others(named)}",
        "assumed": " ".join(assumptions(Assumed())),
        "costs": _costs(named),
        "ends": _ends(named),
        "remembered": _remembered(named),
        "recovery": _recovery(),
        **plans,
    }


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """A table in Markdown: the first column to the left, the others to the right.

    >>> print(table(["a", "b"], iter([["x", "1"]])))
    | a | b |
    |---|---:|
    | x | 1 |
    """
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---" + "|---:" * (len(head) - 1) + "|", *lines[1:]])


def _costs(named: Mapping[str, Costs]) -> str:
    columns = [measured(costs) for costs in named.values()]
    return table(["", *named], ([what, *(column[what] for column in columns)] for what in columns[0]))


def _plans(named: Mapping[str, Costs], rate: float) -> str:
    plans = {name: plan(costs, rate) for name, costs in named.items()}
    columns = [cells(each) for each in plans.values()]
    rows = (row for row in columns[0] if row != "events/s")
    shown = table(["", *named], ([what, *(column[what] for column in columns)] for what in rows))
    limits = [f"- {name}: {limit}." for name, each in plans.items() for limit in each.limits]
    return "\n".join([shown, *(["", "What the planner says of it:", "", *limits] if limits else [])])


def _others(named: Mapping[str, Costs]) -> str:
    most = max(costs.others_cores for costs in named.values())
    return (
        f"Other processes kept up to {most:.1f} cores busy meanwhile." if most > 0.05 else "Nothing else was running."
    )


def _ends(named: Mapping[str, Costs]) -> str:
    """What one task takes, and so the share of all events that the hottest key may have."""
    busy = Assumed().busy
    rows = (
        [
            name,
            f"{costs.events_per_s:,.0f}",
            f"{busy * costs.events_per_s:,.0f}",
            *(f"{min(busy * costs.events_per_s / rate, 1):.3%}" for rate in RATES),
        ]
        for name, costs in named.items()
    )
    head = ["", "one task, events/s", f"at {busy:.0%}", *(f"hottest key at {rate:,}/s" for rate in RATES)]
    return table(head, rows)


def _remembered(named: Mapping[str, Costs]) -> str:
    """State of a task at 1,000 events a second, by how long events are remembered."""

    def cell(costs: Costs, seconds: float) -> str:
        lasting = msgspec.structs.replace(costs, expire_after_s=seconds)
        return f"{state_of(lasting, 1_000, min(seconds, 60)) / 1e6:,.0f} MB"

    rows = ([name, *(cell(costs, seconds) for seconds in REMEMBERED_S.values())] for name, costs in named.items())
    return table(["", *(f"`expire_after` {each}" for each in REMEMBERED_S)], rows)


def _recovery() -> str:
    per_s = Assumed().pickled_bytes_per_s
    rows = (
        [f"{size} MB", f"{size * 1e6 / per_s:,.1f} s", f"{recovery_s(size * 1e6, None, Assumed()):,.1f} s"]
        for size in LOADED_MB
    )
    return table(["a task's state", "to load it", "and to replay, at most"], rows)


if __name__ == "__main__":
    main()
