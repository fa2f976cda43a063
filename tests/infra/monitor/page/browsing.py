"""Looking at the page as a person does: in Chromium, with an ear for what it complains of."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECTIONS = ("flow", "scores", "quality", "labels", "features", "rejects", "alerts", "tasks", "models", "decisions")
PATIENCE_MS = 30_000
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"

KEEP_IN_SIGHT = """id => {
    clearInterval(window.looking)
    window.looking = setInterval(() => {
        const section = document.getElementById(id)
        const { top, bottom } = section?.getBoundingClientRect() ?? { top: 0, bottom: 0 }
        if (bottom < 0 || top > innerHeight) section.scrollIntoView()
    }, 100)
}"""

expect.set_options(timeout=PATIENCE_MS)


def launched(playwright: Playwright) -> Browser:
    """The Chromium of this machine. As root it has no sandbox; it sees pages of ours only."""
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=CHROMIUM, args=alone)


class Seen:
    """A page in a browser context of its own. ``forgiving``: requests may fail, of which Chromium complains itself."""

    def __init__(
        self, browser: Browser, url: str, width: int = 1280, height: int = 900, forgiving: bool = False, **options: Any
    ) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.forgiving = forgiving
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)
        self.page.goto(url)

    def _heard(self, message: ConsoleMessage) -> None:
        if self.forgiving and ("Failed to load resource" in message.text or "net::ERR_" in message.text):
            return
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        self.requests.append(request)

    def look_at(self, section: str) -> Any:
        """Bring a section into view, where it comes up to date, and keep it there, whatever grows above it."""
        self.page.locator(f"#{section}").scroll_into_view_if_needed()
        self.page.evaluate(KEEP_IN_SIGHT, section)
        return self.page.locator(f"#{section}")

    def look_at_all(self) -> None:
        """Bring every section into view, one after the other, and wait for its content."""
        for section in SECTIONS:
            found = self.look_at(section)
            expect(found.locator("table, svg, li, .empty:visible").first).to_be_attached()
        for chart in self.page.locator(".chart:visible").all():
            expect(chart.locator(".main-svg").first).to_be_attached()

    def overflow(self) -> int:
        """Pixels by which the page is wider than the screen."""
        found: int = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return found

    def violations(self) -> list[str]:
        """What an audit with axe-core finds wrong for people who see, hear or move otherwise."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("axe.run(document).then(result => result.violations)")
        return [f"{each['id']}: {each['help']}: {[node['html'][:150] for node in each['nodes'][:3]]}" for each in found]
