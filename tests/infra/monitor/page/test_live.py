"""The page lives: it follows what comes, however much, says when it cannot, and takes no text for markup."""

from __future__ import annotations

import itertools
import re
import signal
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from playwright.sync_api import expect

from infra import decisions
from infra.monitor.client import Client
from streams.records import MetricsRecord, RejectRecord
from tests.faults.real import Real
from tests.infra.monitor.notes import reports
from tests.infra.monitor.page.browsing import Seen
from tests.infra.monitor.running import TOKEN, Monitor, publish
from tests.infra.monitor.test_alerts import IMPORTS, OPTIONS, send

pytestmark = pytest.mark.broker

See = Callable[..., Seen]
SCRIPT = "<script>document.title = 'taken'</script><img src=x onerror=alert(1)>"
APART_MS = 450.0  # the page pauses for 500; clocks of two processes


def windows(running: Monitor, made: Real) -> int:
    status, said, _ = running.ask(f"/api/pipelines/{made.name}/windows?last=1000")
    return len(said["windows"]) if status == 200 else 0


def shown(seen: Seen) -> Any:
    """The first cell of the scores' table: until when the newest window is."""
    return seen.look_at("scores").locator("tbody time").first


def open_scores(seen: Seen) -> None:
    seen.look_at("scores").locator("summary").click()
    expect(shown(seen)).to_be_visible()


def test_new_windows_come_without_a_reload_and_history_survives_one_and_a_restart(
    real: Callable[..., Real], see: See
) -> None:
    made, came = real(partitions=2), reports(15)
    publish(made, came[:20])
    with Monitor(made) as running:
        running.until(lambda: windows(running, made) == 10)
        seen = see(f"http://127.0.0.1:{running.port}/#/{made.name}", forgiving=True)
        open_scores(seen)
        seen.page.evaluate("window.sameDocument = true")
        before = shown(seen).get_attribute("datetime")
        publish(made, came[20:])
        expect(shown(seen)).not_to_have_attribute("datetime", before or "")
        running.until(lambda: windows(running, made) == 15)
        expect(seen.look_at("scores").locator("tbody tr")).to_have_count(15)
        assert seen.page.evaluate("window.sameDocument")
        newest = shown(seen).get_attribute("datetime")
        seen.page.reload()
        open_scores(seen)
        expect(shown(seen)).to_have_attribute("datetime", newest or "")
    with Monitor(made) as running:
        running.until(lambda: windows(running, made) == 15)
        again = see(f"http://127.0.0.1:{running.port}/#/{made.name}", forgiving=True)
        open_scores(again)
        expect(shown(again)).to_have_attribute("datetime", newest or "")
        expect(again.look_at("scores").locator("tbody tr")).to_have_count(15)


def test_however_much_comes_it_asks_twice_a_second_at_most(real: Callable[..., Real], see: See) -> None:
    made, came = real(partitions=2), reports(40)
    publish(made, came[:20])
    with Monitor(made) as running:
        running.until(lambda: windows(running, made) == 10)
        seen = see(f"http://127.0.0.1:{running.port}/#/{made.name}", forgiving=True)
        open_scores(seen)
        for first in range(20, 80, 6):  # the monitor tells of each, up to four times a second
            publish(made, came[first : first + 6])
        expect(seen.look_at("scores").locator("tbody tr")).to_have_count(40)
        asked = [request for request in seen.requests if "/history" in request.url]
        times = [request.timing["startTime"] for request in asked]
        assert len(times) > 1, "it followed what came"
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert min(gaps) > APART_MS


def test_a_lost_connection_is_said_and_mended(real: Callable[..., Real], see: See) -> None:
    made = real(partitions=2)
    publish(made, reports(10))
    with Monitor(made) as running:
        running.until(lambda: windows(running, made) == 10)
        port = running.port
        seen = see(f"http://127.0.0.1:{port}/#/{made.name}", forgiving=True)
        expect(seen.look_at("quality").locator("table").first).to_be_visible()
        running.kill()
        expect(seen.page.locator("#connection")).to_have_text(re.compile("connection lost, trying again; as of"))
        expect(seen.page.locator("body")).to_have_class("stale")
    with Monitor(made, arguments=["--port", str(port)]):
        expect(seen.page.locator("#connection")).to_have_text("live")
        expect(seen.page.locator("body")).not_to_have_class("stale")


def test_markup_in_any_text_stays_text(real: Callable[..., Real], see: See) -> None:
    made = real(partitions=2)
    hostile = [renamed(report) for report in reports(10)]
    publish(made, hostile)
    reject = RejectRecord("asked", 0, 7, 1_000, SCRIPT, SCRIPT, SCRIPT, 9, True, SCRIPT.encode(), SCRIPT.encode())
    producer = made.producer()
    producer.begin_transaction()
    producer.produce(made.pipeline.topic("rejects"), msgspec.json.encode(reject), partition=0)
    producer.flush(20)
    producer.commit_transaction(20)
    made_up = decisions.new_decision("pause", None, SCRIPT, SCRIPT)
    decisions.send(made.config, made.pipeline, made_up)
    with Monitor(made) as running:
        running.until(lambda: windows(running, made) == 10)
        seen = see(f"http://127.0.0.1:{running.port}/#/{made.name}", forgiving=True)
        seen.look_at_all()
        page = seen.page
        for section in ("quality", "features", "rejects", "models", "decisions"):
            expect(seen.look_at(section)).to_contain_text(SCRIPT)
        expect(seen.look_at("quality").locator(".legendtext", has_text="<script>").first).to_be_visible()
        assert page.locator("main script, main img:not([alt=''])").count() == 0
        assert page.title() == f"{made.name} · riverrun monitor"


def test_an_alert_that_lasts_is_seen_everywhere_and_goes_when_it_is_over(real: Callable[..., Real], see: See) -> None:
    made = real(partitions=2, imports=IMPORTS, options=OPTIONS)
    made.worker("1")
    with Monitor(made) as running:
        running.until_active()
        send(made, 3, bad=True)
        seen = see(f"http://127.0.0.1:{running.port}/#/{made.name}", forgiving=True)
        seen.look_at_all()
        page, alerts = seen.page, seen.look_at("alerts")
        expect(alerts.get_by_role("row", name=re.compile("^bad input lasts"))).to_contain_text(
            "share of rejects is above 0.2; learning is paused while it lasts"
        )
        expect(alerts.get_by_role("row", name=re.compile("bad input began"))).to_contain_text("the bound is above 0.2")
        expect(page.locator(".state")).to_contain_text("bad input")
        page.get_by_role("link", name="riverrun monitor").click()
        expect(page.locator(".card .badges")).to_have_text("bad input")
        send(made, 3, bad=False)
        made.close()
        expect(page.locator(".card .badges")).to_have_count(0)
        page.locator(".card a").click()
        seen.look_at_all()
        expect(seen.look_at("alerts").get_by_role("row", name=re.compile("^bad input quiet"))).to_be_visible()
        expect(seen.look_at("alerts").get_by_role("row", name=re.compile("bad input was over"))).to_be_visible()
        assert seen.violations() == []


def test_a_recovery_is_shown_while_it_lasts(real: Callable[..., Real], see: See) -> None:
    made = real(
        options="checkpoint_every=100_000, inline_bytes_max=0, replay_max=timedelta(hours=1)",
        effect='time.sleep(float(os.environ.get("PAUSE_S", 0)))',
        imports="import os, time",
    )
    made.publish(400)
    made.close()
    worker = made.worker("1")
    made.until_done()
    worker.send_signal(signal.SIGKILL)
    with Monitor(made) as running:
        running.until_active()
        seen = see(f"http://127.0.0.1:{running.port}/#/{made.name}", forgiving=True)
        seen.look_at("tasks")
        dying = made.worker("1", more={"PAUSE_S": "0.5"})
        shown = seen.page.locator("#tasks .recovery")
        expect(shown).to_be_visible()
        dying.send_signal(signal.SIGKILL)
        expect(shown).to_have_count(0)  # 10 s later, and nothing moves meanwhile
        made.worker("1", more={"PAUSE_S": "0.02"})
        expect(shown).to_contain_text(re.compile(r"^recovering: [\d,]+ of \d{3} records"))
        (task,) = Client(f"http://127.0.0.1:{running.port}", made.settings).overview(made.name).tasks
        assert task.recovery is not None
        assert 0 < task.recovery.replayed < task.recovery.total
        assert seen.violations() == []
        expect(shown).to_have_count(0)
        expect(seen.page.locator("#tasks table")).to_contain_text(f"{task.recovery.total:,} records")


def renamed(report: MetricsRecord) -> MetricsRecord:
    """The report with markup for the names of a model, a feature and a reason."""
    first, *rest = report.models
    models = [msgspec.structs.replace(first, model=SCRIPT, role="champion"), *rest]
    features = [msgspec.structs.replace(each, name=SCRIPT) for each in report.features]
    return msgspec.structs.replace(report, models=models, features=features)


def test_the_token_is_asked_for_once(real: Callable[..., Real], see: See) -> None:
    made = real(partitions=2)
    publish(made, reports(10))
    with Monitor(made, env={"RIVERRUN_MONITOR_TOKEN": TOKEN}) as running:
        running.until(lambda: windows(running, made) == 10)
        seen = see(f"http://127.0.0.1:{running.port}/#/{made.name}", forgiving=True)
        dialog = seen.page.get_by_role("dialog")
        dialog.get_by_label("Token").fill("a wrong one, but long")
        dialog.get_by_role("button").click()
        expect(dialog).to_contain_text("no token, or a wrong one")
        dialog.get_by_label("Token").fill(TOKEN)
        dialog.get_by_role("button").click()
        expect(seen.page.get_by_role("heading", level=1)).to_have_text(made.name)
        expect(seen.page.locator("#connection")).to_have_text("live")
        seen.page.reload()
        expect(seen.page.get_by_role("heading", level=1)).to_have_text(made.name)
        expect(dialog).to_have_count(0)
        stored = seen.page.evaluate("JSON.stringify({...localStorage, ...sessionStorage, cookie: document.cookie})")
        assert TOKEN not in stored


def test_it_says_what_to_do_while_there_is_nothing(real: Callable[..., Real], see: See) -> None:
    made = real(partitions=2)
    with Monitor(made) as running:
        running.until_active()
        seen = see(f"http://127.0.0.1:{running.port}/#/{made.name}", forgiving=True)
        expect(seen.look_at("scores")).to_contain_text("they come with the first closed window")
        expect(seen.look_at("tasks")).to_contain_text("No worker runs")
        expect(seen.look_at("decisions")).to_contain_text("Nothing was decided yet")
        assert seen.violations() == []
        assert seen.overflow() <= 0
