"""Learning is paused while an alert lasts that says so, and goes on when it is over.

    alert begins ─▶ pause ─▶ tasks obey … alert is over ─▶ resume      a person resumes: it is left at that until the
                     └─▶ refused as stale: asked anew by the next window     alerts that pause are all over

One decision at a time: while a task has not answered the last one, none is taken. The id of a decision comes of the
window it was taken for, so that the same reports never lead to two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from streams.alerts import Alert, Standing
from streams.control import Action, Decision
from streams.records import DecisionRecord
from streams.versions import as_of

BY = "alert "
"""What ``by`` begins with in decisions of alerts."""


class Pausing(msgspec.Struct):
    """What was decided: ``by`` is who paused each task that is paused, ``waiting`` the tasks that have not answered the
    last decision, and ``left`` whether a person resumed while an alert lasted.
    """

    by: dict[int, str] = {}
    decision: str = ""
    waiting: list[int] = []
    left: bool = False

    def answered(self, answer: DecisionRecord) -> None:
        """A task has answered a decision, by whomever it was."""
        if answer.decision == self.decision:
            self.waiting = [task for task in self.waiting if task != answer.task]
        if not answer.obeyed:
            return
        if answer.action == "pause":
            self.by[answer.task] = answer.by
        elif answer.action == "resume":
            self.by.pop(answer.task, None)
            self.left = self.left or not answer.by.startswith(BY)

    def decide(
        self, alerts: Sequence[Alert], standings: Mapping[str, Standing], tasks: int, now_ms: int, stale_after_ms: int
    ) -> Decision | None:
        """What is to be asked of the tasks, after windows were judged.

        ``now_ms`` is the time that the decision bears. It is stale ``stale_after_ms`` behind the window it is for.
        """
        pausing = [alert for alert in alerts if alert.pauses and alert.name in standings]
        lasting = [alert for alert in pausing if standings[alert.name].lasts]
        if not lasting:
            self.left = False
        if self.waiting or not pausing:
            return None
        if lasting and not self.left and len(self.by) < tasks:
            return self._ask("pause", lasting[0], standings, tasks, now_ms, stale_after_ms)
        ours = [by.removeprefix(BY) for by in self.by.values() if by.startswith(BY)]
        if ours and not lasting:
            over = next((alert for alert in pausing if alert.name == ours[0]), pausing[0])
            return self._ask("resume", over, standings, tasks, now_ms, stale_after_ms)
        return None

    def _ask(
        self,
        action: Action,
        alert: Alert,
        standings: Mapping[str, Standing],
        tasks: int,
        now_ms: int,
        stale_after_ms: int,
    ) -> Decision:
        end_ms = standings[alert.name].judged_time_ms or 0
        self.decision, self.waiting = f"{action} for {alert.name} at {end_ms}", list(range(tasks))
        is_so = "is" if action == "pause" else "is no longer"
        return Decision(
            id=self.decision,
            action=action,
            by=BY + alert.name,
            why=f"{alert.measure.title} {is_so} {alert.bound}, by the window to {as_of(end_ms)}",
            decided_time_ms=now_ms,
            stale_time_ms=end_ms + stale_after_ms,
        )
