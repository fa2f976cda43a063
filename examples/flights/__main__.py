"""`make demo`: the year 2013 through a real Kafka, from an empty folder to the scores.

FLIGHTS_MONTHS=2 takes the first two months; DEMO_HOME is where the data goes (default: build/demo, emptied first).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from connectors.scoreboard import ModelScore, scoreboard
from connectors.warehouse import query
from infra.scores_table import scores_table
from infra.settings import Settings
from infra.stopping import StopSignal
from infra.up import Up
from streams.errors import PipelineError

HERE = Path(__file__).parent
MARCH = datetime(2013, 3, 1, tzinfo=UTC)
WORKERS = 2
SCORES = ("auc", "accuracy", "precision", "recall", "f1", "log_loss")

console = Console(soft_wrap=True)


def main() -> None:
    """Run the demo; errors end with their remedy."""
    home = Path(os.environ.get("DEMO_HOME", "build/demo"))
    shutil.rmtree(home, ignore_errors=True)
    os.environ["RIVERRUN_HOME"] = str(home)
    try:
        run(Settings.load())
    except PipelineError as error:
        console.print(f"error: {error}", style="red")
        sys.exit(2)


def run(settings: Settings) -> None:
    """The whole demo on one machine."""
    stop = StopSignal()
    console.print("[bold]riverrun[/]: will this flight land more than 15 minutes late? A year of New York departures.")
    with Up(HERE / "flights.py", settings, source=HERE / "source.py", workers=WORKERS) as up:
        started_s = time.monotonic()
        up.run_until_done(stop)
        if stop():
            return
        seconds = time.monotonic() - started_s - up.pipeline.idle_after.total_seconds()
        up.finish()
    report(settings, settings.data_folder("flights") / "parquet", seconds)


def count(root: Path, sql: str) -> int:
    """The one number that a query gives."""
    return int(query(root, sql).column(0)[0].as_py())


def report(settings: Settings, root: Path, seconds: float) -> None:
    """Print the closing table and what to try next; write it to build/demo.json."""
    scores = scoreboard(root, "binary", MARCH)
    by_name = {score.model: score for score in scores}
    rejects = query(root, "SELECT topic, reason, count(*) AS n FROM rejects GROUP BY ALL ORDER BY ALL").to_pylist()
    drift = query(root, "SELECT watched, detector, count(*) AS n FROM drift GROUP BY ALL ORDER BY ALL").to_pylist()
    records = count(root, "SELECT count(*) FROM inputs")
    events = count(root, "SELECT count(*) FROM features")
    expired = count(root, "SELECT count(DISTINCT event_id) FROM outcomes WHERE status = 'expired'")
    console.print(scores_table(scores, "March to December, each flight predicted before it was learned from"))
    champion, frozen = by_name["logistic"], by_name["frozen"]
    if champion.auc is not None and frozen.auc is not None:
        gain = f"AUC {champion.auc - frozen.auc:+.4f}, log loss {_less(champion, frozen)}"
        console.print(f"Learning on after 1 March gains the champion {gain} over its frozen self.")
    for row in drift:
        console.print(f"drift: {row['detector']} on {row['watched']}: {row['n']} times")
    for row in rejects:
        console.print(f"rejected: {row['n']} of {row['topic']} ({row['reason']})")
    console.print(f"expired without a label: {expired:,} diverted flights")
    rate = f"{records / seconds:,.0f} records/s, {events / seconds:,.0f} predictions/s"
    console.print(f"{records:,} records, {events:,} of them departures, in {seconds:.1f} s: {rate}, exactly once")
    result = {
        "models": {s.model: {"role": s.role, **{name: getattr(s, name) for name in SCORES}} for s in scores},
        "events": events,
        "events_per_s": events / seconds,
        "records": records,
        "rejects": sum(row["n"] for row in rejects),
        "expired": expired,
        "drift": {f"{row['detector']} on {row['watched']}": row["n"] for row in drift},
        "seconds": seconds,
    }
    Path("build").mkdir(exist_ok=True)
    Path("build/demo.json").write_text(json.dumps(result, indent=2) + "\n")
    console.print(f"""
Try next, with [bold]export RIVERRUN_HOME={settings.home} PATH=$PWD/.venv/bin:$PATH[/]
  riverrun sql                                       what can be asked
  riverrun sql "FROM outcomes WHERE model = 'logistic' AND NOT correct"  its mistakes
  riverrun backtest examples/flights/flights.py      the same predictions, without Kafka
  riverrun broker start                              the same Kafka again, with all its topics
  riverrun tail flights.predictions --from-beginning -n 3""")


def _less(champion: ModelScore, frozen: ModelScore) -> str:
    return f"{(champion.log_loss or 0) - (frozen.log_loss or 0):+.4f}"


if __name__ == "__main__":
    main()
