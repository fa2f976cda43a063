"""Does the monitor's page stay quick while events pour through the pipeline? ``python -m benchmarks.page``

A real pipeline, fed at a rate; the page in a real Chromium, looked at section by section: first with nothing going on,
then under load. A frame is late when it comes over 50 ms after the one before. What is found is in docs/performance.md.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.table import Table

from infra import process
from infra.broker import embedded_broker
from infra.monitor.client import Client
from infra.settings import Settings
from infra.up import Up
from tests.infra.monitor.page.browsing import SECTIONS, Seen, launched
from tests.infra.monitor.running import until_served

PIPELINE = Path(__file__).parent / "clicks.py"
LATE_MS = 50.0
LISTEN = """() => {
    window.heard = { gaps: [], long: [] }
    let last = performance.now()
    const frame = now => { heard.gaps.push(now - last); last = now; requestAnimationFrame(frame) }
    requestAnimationFrame(frame)
    new PerformanceObserver(list => heard.long.push(...list.getEntries().map(each => each.duration)))
        .observe({ type: "longtask" })
    performance.setResourceTimingBufferSize(100_000)
}"""
RESET = "() => { heard.gaps = []; heard.long = []; performance.clearResourceTimings() }"
READ = """() => ({ ...heard, requests: performance.getEntriesByType("resource")
    .filter(each => each.name.includes("/api/") && !each.name.includes("/events"))
    .map(each => each.duration) })"""


def main() -> None:
    """Measure, print a table, and write build/page.json."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, embedded_broker(Path(folder) / "broker", port=0) as servers:
        settings = Settings(home=Path(folder), bootstrap_servers=servers)
        with Up(PIPELINE, settings, workers=2, monitor_port=0) as up:
            found = _measured(up, settings, given.rate, given.seconds)
    Path("build").mkdir(exist_ok=True)
    Path("build/page.json").write_text(json.dumps(found, indent=2))
    _show(found)


def _measured(up: Up, settings: Settings, rate: int, seconds: float) -> dict[str, dict[str, float]]:
    feeding = [sys.executable, "-m", "benchmarks.feed", settings.servers(), "--rate", str(rate), "--seconds"]
    process.spawn([*feeding, "5"], name="feed").wait()  # so that there is something to draw
    url = until_served(up.logs / "monitor.log", up.pipeline, windows=3)
    client = Client(url, settings)
    with sync_playwright() as playwright:
        browser = launched(playwright)
        seen = Seen(browser, f"{url}#/clicks")
        seen.page.evaluate(LISTEN)
        quiet = _looked(seen, seconds / 2)
        feed = process.spawn([*feeding, str(seconds + 5)], name="feed")
        time.sleep(5)
        before = _predicted(client)
        loaded = _looked(seen, seconds)
        loaded["events predicted a second"] = (_predicted(client) - before) / seconds
        feed.wait()
        browser.close()
    return {"quiet": quiet, "loaded": loaded}


def _predicted(client: Client) -> int:
    reported = client.overview("clicks").cumulative
    return reported.predicted if reported else 0


def _looked(seen: Seen, seconds: float) -> dict[str, float]:
    """What the page felt while each section was in sight for its share of the time."""
    seen.page.evaluate(RESET)
    for section in SECTIONS:
        seen.look_at(section)
        seen.page.wait_for_timeout(1_000 * seconds / len(SECTIONS))
    heard: dict[str, Any] = seen.page.evaluate(READ)
    gaps, requests = heard["gaps"], heard["requests"] or [0.0]
    return {
        "frames a second": len(gaps) / (sum(gaps) / 1_000),
        "frame p99, ms": statistics.quantiles(gaps, n=100)[-1],
        "longest frame, ms": max(gaps),
        "late frames, share": sum(gap > LATE_MS for gap in gaps) / len(gaps),
        "busy in long tasks, share": sum(heard["long"]) / sum(gaps),
        "requests a second": len(requests) / (sum(gaps) / 1_000),
        "request p50, ms": statistics.median(requests),
        "request p99, ms": statistics.quantiles(requests, n=100)[-1],
    }


def _show(found: dict[str, dict[str, float]]) -> None:
    table = Table("", *found)
    for name in found["loaded"]:
        table.add_row(name, *(f"{each[name]:,.3g}" if name in each else "" for each in found.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
