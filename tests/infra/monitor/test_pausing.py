"""When learning is paused because of alerts, and when it goes on."""

from __future__ import annotations

import msgspec

from infra.monitor.pausing import Pausing
from streams.alerts import Alert, Standing
from streams.control import Decision
from streams.measures import rejects, repairs
from streams.records import DecisionRecord

ALERTS = (
    Alert("rejects", rejects(), above=0.1, pauses=True),
    Alert("repairs", repairs(), above=0.1, pauses=True),
    Alert("many", rejects(), above=0.5),
)
TASKS = 2


class Scene:
    """A pipeline of two tasks: windows are judged, tasks answer."""

    def __init__(self) -> None:
        self.pausing, self.window = Pausing(), 0

    def judged(self, *lasting: str) -> Decision | None:
        """One more window was judged; these alerts last."""
        self.window += 1
        end_ms = 60_000 * self.window
        standings = {alert.name: Standing(end_ms, 0, alert.name in lasting) for alert in ALERTS}
        self.pausing = msgspec.json.decode(msgspec.json.encode(self.pausing), type=Pausing)
        return self.pausing.decide(ALERTS, standings, TASKS, now_ms=7, stale_after_ms=600_000)

    def answer(self, decision: Decision | None, obeyed: bool = True, tasks: tuple[int, ...] = (0, 1)) -> None:
        assert decision is not None
        for task in tasks:
            self.pausing.answered(_answer(task, decision.id, decision.action, decision.by, obeyed))

    def by_hand(self, action: str) -> None:
        for task in range(TASKS):
            self.pausing.answered(_answer(task, f"by hand {self.window}", action, "ann", True))


def _answer(task: int, decision: str, action: str, by: str, obeyed: bool) -> DecisionRecord:
    return DecisionRecord(task, 0, "trips.control", task, 0, decision, action, None, None, by, "", 0, obeyed, "", 1)


def test_it_pauses_while_an_alert_lasts_and_resumes_when_it_is_over() -> None:
    scene = Scene()
    assert scene.judged() is None
    pause = scene.judged("rejects")
    assert pause is not None
    assert (pause.action, pause.by, pause.stale_time_ms) == ("pause", "alert rejects", 720_000)
    assert pause.why == "share of rejects is above 0.1, by the window to 1970-01-01T00:02:00Z"
    scene.answer(pause)
    assert scene.pausing.by == {0: "alert rejects", 1: "alert rejects"}
    assert scene.judged("rejects") is None
    resume = scene.judged()
    assert resume is not None
    assert (resume.action, resume.by) == ("resume", "alert rejects")
    assert resume.why == "share of rejects is no longer above 0.1, by the window to 1970-01-01T00:04:00Z"
    scene.answer(resume)
    assert scene.pausing.by == {}
    assert scene.judged() is None


def test_one_decision_at_a_time() -> None:
    scene = Scene()
    pause = scene.judged("rejects")
    assert scene.judged("rejects") is None
    scene.answer(pause, tasks=(0,))
    assert scene.judged() is None, "task 1 has not answered"
    scene.answer(pause, tasks=(1,))
    resume = scene.judged()
    assert resume is not None
    assert resume.action == "resume"


def test_what_was_refused_is_asked_anew_by_the_next_window_under_another_id() -> None:
    scene = Scene()
    stale = scene.judged("rejects")
    scene.answer(stale, obeyed=False)
    again = scene.judged("rejects")
    assert again is not None
    assert stale is not None
    assert again.id != stale.id


def test_a_person_who_resumes_has_the_last_word_until_all_is_well() -> None:
    scene = Scene()
    scene.answer(scene.judged("rejects"))
    scene.by_hand("resume")
    assert scene.judged("rejects") is None
    assert scene.judged("rejects", "repairs") is None
    assert scene.judged() is None
    assert scene.judged("repairs") is not None


def test_what_a_person_paused_no_alert_resumes() -> None:
    scene = Scene()
    scene.by_hand("pause")
    assert scene.judged("rejects") is None
    assert scene.judged() is None
    assert set(scene.pausing.by.values()) == {"ann"}


def test_another_alert_that_lasts_holds_it() -> None:
    scene = Scene()
    scene.answer(scene.judged("rejects"))
    assert scene.judged("repairs") is None
    assert scene.judged() is not None


def test_alerts_that_do_not_pause_decide_nothing() -> None:
    assert Scene().judged("many") is None
