"""A real Chromium, and a monitor of the flights: a month through real processes, on a broker of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from infra.broker import embedded_broker
from infra.settings import Settings
from infra.up import Up
from tests.end_to_end.flying import FLIGHTS
from tests.infra.monitor.page.browsing import CHROMIUM, Seen, launched
from tests.infra.monitor.running import until_served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Playwright's loop runs in our thread for as long as it is there: no other file's tests could run one."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: `apt-get install chromium` brings one")
    with sync_playwright() as playwright:
        started = launched(playwright)
        yield started
        started.close()


@pytest.fixture
def see(browser: Browser) -> Iterator[Callable[..., Seen]]:
    """Opens pages; at the end none of them may have complained, but for what a test has forgiven."""
    opened: list[Seen] = []

    def open_page(url: str, **options: Any) -> Seen:
        opened.append(Seen(browser, url, **options))
        return opened[-1]

    yield open_page
    for each in opened:
        each.context.close()
        assert not each.complaints


@pytest.fixture(scope="module")
def flown(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a monitor of the flights of January; a worker has predicted them all, and runs on."""
    home = tmp_path_factory.mktemp("flown")
    with embedded_broker(tmp_path_factory.mktemp("broker-flown"), port=0) as servers:
        settings = Settings(home=home, bootstrap_servers=servers)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FLIGHTS_MONTHS", "1")
            with Up(FLIGHTS / "flights.py", settings, source=FLIGHTS / "source.py", monitor_port=0) as up:
                up.run_until_done(lambda: False, tick_s=0.2)
                yield until_served(up.logs / "monitor.log", up.pipeline, windows=30)
