"""The page of the flights: what each section says, what buttons do, and for whom it works."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.infra.monitor.page.browsing import SECTIONS, Seen

pytestmark = pytest.mark.broker

See = Callable[..., Seen]
MODELS = ("logistic", "patient", "tree", "rule", "frozen")


def test_the_overview_tells_how_each_pipeline_is(flown: str, see: See) -> None:
    page = see(flown).page
    card = page.locator(".card")
    expect(card.get_by_role("link", name="flights")).to_be_visible()
    expect(card).to_contain_text("AUC of logistic, the champion")
    expect(card).to_contain_text("learning")
    expect(card.locator(".spark polyline")).to_be_attached()
    card.get_by_role("link", name="flights").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("flights")


def test_each_section_has_its_content(flown: str, see: See) -> None:
    seen = see(f"{flown}#/flights")
    seen.look_at_all()
    page = seen.page
    flow = seen.look_at("flow").locator("svg")
    expect(flow).to_have_attribute("aria-label", re.compile("flights.departures.*Score, then learn"))
    for topic in ("flights.weather", "flights.arrivals", "flights.departures"):
        expect(flow).to_contain_text(topic)
    scores = seen.look_at("scores")
    for model in MODELS:
        expect(scores.locator(".legendtext", has_text=re.compile(f"^{model}$"))).to_be_visible()
    expect(scores.locator(".legendtext", has_text="drift")).to_be_visible()
    quality = seen.look_at("quality")
    for model in MODELS:
        expect(quality.get_by_role("row", name=re.compile(f"^{model}"))).to_be_visible()
    expect(quality.locator(".confusion .cell")).to_have_count(4)
    expect(quality.get_by_text("ROC: how many")).to_be_visible()
    expect(quality.get_by_text("Calibration: what was said")).to_be_visible()
    labels = seen.look_at("labels")
    expect(labels).to_contain_text("never came")
    expect(labels.locator(".chart .bars path")).not_to_have_count(0)
    features = seen.look_at("features")
    expect(features.get_by_role("button", name="dep_delay")).to_be_visible()
    features.get_by_role("button", name="wind").click()
    expect(features.locator("figcaption")).to_contain_text("wind")
    rejects = seen.look_at("rejects")
    expect(rejects).to_contain_text("arr_delay_min")
    rejects.locator("summary").first.click()
    expect(rejects.locator("pre").first).to_contain_text("flight_id")
    tasks = seen.look_at("tasks")
    expect(tasks.locator("tbody tr")).to_have_count(4)
    expect(tasks).to_contain_text("1 worker, group stable")
    expect(seen.look_at("models").get_by_role("button", name="Promote tree")).to_be_visible()
    expect(page.locator("#connection")).to_have_text("live")


def test_charts_have_their_numbers_as_a_table(flown: str, see: See) -> None:
    seen = see(f"{flown}#/flights")
    seen.look_at_all()
    scores = seen.look_at("scores")
    scores.locator("summary").click()
    expect(scores.get_by_role("columnheader", name="logistic")).to_be_visible()
    expect(scores.locator("tbody tr")).not_to_have_count(0)
    for chart in seen.page.locator(".chart:visible").all():
        assert len(chart.get_attribute("aria-label") or "") > 20


def ask(page: Page, button: str, why: str, by: str = "ann") -> Any:
    """Press a button of the models and confirm; the dialog."""
    page.get_by_role("button", name=button, exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Who decides").fill(by)
    dialog.get_by_label("Why").fill(why)
    dialog.locator(".actions button").last.click()
    return dialog


def test_buttons_decide_and_the_audit_tells_without_a_reload(flown: str, see: See) -> None:
    seen = see(f"{flown}#/flights/models")
    page, models = seen.page, seen.look_at("models")
    page.evaluate("window.sameDocument = true")
    steps = [
        ("Pause learning", "bad labels"),
        ("Resume learning", "mended"),
        ("Promote tree", "its AUC"),
        ("Reset patient", "poisoned"),
    ]
    for button, why in steps:
        dialog = ask(page, button, why)
        expect(dialog).to_contain_text("Obeyed by 4 of 4 tasks.")
        dialog.get_by_role("button", name="Close").click()
        row = seen.look_at("decisions").get_by_role("row", name=re.compile(why))
        expect(row).to_contain_text("obeyed by all tasks")
        expect(row).to_contain_text("ann")
        models.scroll_into_view_if_needed()
    models.get_by_role("button", name="Roll back patient", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Version").select_option(index=0)
    dialog.get_by_label("Why").fill("it was right after all")
    dialog.locator(".actions button").last.click()
    expect(dialog).to_contain_text("Obeyed by")
    dialog.get_by_role("button", name="Close").click()
    expect(seen.look_at("decisions").get_by_role("row", name=re.compile("right after all"))).to_contain_text("rollback")
    assert page.evaluate("window.sameDocument")


def test_a_refusal_shows_its_reason(flown: str, see: See) -> None:
    seen = see(f"{flown}#/flights/models")
    seen.look_at("models")
    ask(seen.page, "Save all as a version", "twice")  # it asks for a name, too
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_label("Name of the version").fill("the same name")
    dialog.locator(".actions button").last.click()
    expect(dialog).to_contain_text("Obeyed by 4 of 4 tasks.")
    dialog.get_by_role("button", name="Close").click()
    seen.page.get_by_role("button", name="Save all as a version").click()
    dialog.get_by_label("Name of the version").fill("the same name")
    dialog.get_by_label("Why").fill("again")
    dialog.locator(".actions button").last.click()
    expect(dialog.locator(".result.bad")).to_contain_text("Refused by 4: there is a version 'the same name'")
    dialog.get_by_role("button", name="Close").click()
    row = seen.look_at("decisions").get_by_role("row", name=re.compile("again"))
    expect(row).to_contain_text("there is a version")


def test_what_was_decided_meanwhile_makes_a_decision_stale(flown: str, see: See) -> None:
    seen = see(f"{flown}#/flights/models")
    other = see(f"{flown}#/flights/models")
    for each in (seen, other):
        each.look_at("models")
        each.look_at("decisions")
    seen.page.get_by_role("button", name="Reset rule", exact=True).click()
    dialog = ask(other.page, "Reset rule", "I was first")
    expect(dialog).to_contain_text("Obeyed by 4 of 4 tasks.")
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_label("Who decides").fill("bob")
    dialog.get_by_label("Why").fill("I looked before")
    dialog.locator(".actions button").last.click()
    expect(dialog.locator(".result.bad")).to_contain_text("Refused by 4: stale: it was taken after")


def test_nothing_is_sent_before_it_is_confirmed(flown: str, see: See) -> None:
    seen = see(f"{flown}#/flights/models")
    seen.look_at("models")
    button = seen.page.get_by_role("button", name="Reset rule", exact=True)
    button.click()
    dialog = seen.page.get_by_role("dialog")
    dialog.locator(".actions button").last.click()  # without a reason
    expect(dialog.get_by_label("Who decides")).to_be_visible()
    button.evaluate("found => found.replaceWith(found.cloneNode(true))")  # as when something new is shown meanwhile
    seen.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    assert not [request for request in seen.requests if request.method == "POST"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 820, 1440])
def test_it_fits_and_nothing_in_it_keeps_anybody_out(flown: str, see: See, width: int, scheme: str) -> None:
    for where in ("", "#/flights"):
        seen = see(f"{flown}{where}", width=width, color_scheme=scheme)
        if where:
            seen.look_at_all()
        else:
            expect(seen.page.locator(".spark")).to_be_visible()
        assert seen.overflow() <= 0
        assert seen.violations() == []


def test_colours_follow_the_system_until_somebody_chooses_and_that_is_remembered(flown: str, see: See) -> None:
    seen = see(flown, color_scheme="dark")
    page = seen.page
    background = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(background)
    page.locator("#theme").click()
    light = page.evaluate(background)
    assert light != dark
    page.reload()
    assert page.evaluate(background) == light
    expect(page.locator("#theme")).to_have_attribute("aria-label", "Colours: light")


def test_everything_is_reached_by_keyboard(flown: str, see: See) -> None:
    seen, reached = see(flown), set[str]()
    page = seen.page
    expect(page.locator(".card a")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    for _ in range(9):
        if page.evaluate("document.activeElement.matches('.card a')"):
            break
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("flights")
    seen.look_at_all()
    page.evaluate("scrollTo(0, 0); document.activeElement.blur()")
    wanted = {"theme", "score-pick", "quality-model", "feature wind", "promote patient", "reset rule", "pause"}
    for _ in range(400):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.key ?? document.activeElement.id"))
        if wanted <= reached or page.evaluate("document.activeElement === document.body"):
            break
    assert wanted - reached == set()
    page.locator('[data-key="reset rule"]').focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_headings_come_in_order_and_sections_are_named(flown: str, see: See) -> None:
    seen = see(f"{flown}#/flights")
    seen.look_at_all()
    levels = seen.page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    names = seen.page.evaluate("[...document.querySelectorAll('section')].map(s => s.id)")
    assert tuple(names) == SECTIONS
