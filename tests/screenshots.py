"""`make screenshots`: the flights, as they run through a real Kafka, on the monitor's page, as pictures for the README.

MONTHS of the year are replayed, all 12 unless told otherwise; pictures are taken while it runs.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from infra.settings import Settings
from infra.up import Up
from tests.end_to_end.flying import FLIGHTS
from tests.infra.monitor.page.browsing import CHROMIUM, Seen, launched
from tests.infra.monitor.running import until_served

FOLDER = Path(__file__).parents[1] / "docs" / "screenshots"
SIZES = {1440: 1000, 820: 1100, 390: 844}
SHOWN = {"overview": "", "pipeline": "#/flights", "quality": "#/flights/quality", "features": "#/flights/features"}
COLOURS = 128
DAYS = 45
"""Windows of a day that are there before pictures are taken."""


def main() -> None:
    """Replay, look, and write what was seen."""
    if CHROMIUM is None:
        sys.exit("there is no Chromium: `apt-get install chromium` brings one")
    os.environ["FLIGHTS_MONTHS"] = os.environ.get("MONTHS", "12")
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        made = Up(FLIGHTS / "flights.py", settings, source=FLIGHTS / "source.py", monitor_port=0, speed=None)
        with made as up:
            url = until_served(up.logs / "monitor.log", up.pipeline, windows=DAYS)
            with sync_playwright() as playwright:
                browser = launched(playwright)
                for width, height in SIZES.items():
                    for scheme in ("light", "dark"):
                        seen = Seen(browser, url, width, height, color_scheme=scheme)
                        take(seen, f"{width}-{scheme}")
                        seen.context.close()
                browser.close()


def take(seen: Seen, name: str) -> None:
    """A picture of each view at this size."""
    seen.page.locator(".spark").wait_for()
    seen.page.locator(".card dd", has_text="records").wait_for()  # the lag: asked of Kafka, so it comes last
    write(seen, f"overview-{name}")
    seen.page.goto(seen.page.url + "#/flights")
    seen.look_at_all()
    for view, place in SHOWN.items():
        if place:
            section = place.removeprefix("#/flights").strip("/")
            seen.page.evaluate("id => id ? document.getElementById(id).scrollIntoView() : scrollTo(0, 0)", section)
            seen.page.wait_for_timeout(1_500)  # scrolling, and the next round of what comes
            if view == "pipeline" or name.startswith("1440"):
                write(seen, f"{view}-{name}")


def write(seen: Seen, name: str) -> None:
    picture = Image.open(io.BytesIO(seen.page.screenshot()))
    picture.convert("RGB").quantize(COLOURS).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
