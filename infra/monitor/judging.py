"""The alerts of one pipeline: judged whenever reports come, with what is to be sent because of them.

What is to be sent is written down together with the judgement, and struck out when it is seen in its topic: so it is
sent at least once, and whoever gets it twice knows it by its id.
"""

from __future__ import annotations

import msgspec

from infra.monitor.ledger import Ledger
from infra.monitor.mirror import Mirror
from infra.monitor.pausing import Pausing
from streams.alerts import Standing, judge
from streams.control import Decision
from streams.merging import Reports
from streams.pipeline import Pipeline
from streams.records import AlertRecord, DecisionRecord


class Outgoing(msgspec.Struct):
    """One of the two, to be put into its topic."""

    alert: AlertRecord | None = None
    decision: Decision | None = None


class Judging:
    """How the alerts stand, who paused which task, and what is to be sent."""

    def __init__(self, pipeline: Pipeline, ledger: Ledger) -> None:
        self._pipeline = pipeline
        self._standings: Mirror[Standing] = Mirror(ledger, "standings/", Standing)
        self._kept: Mirror[Pausing] = Mirror(ledger, "pausing/", Pausing)
        self.outgoing: Mirror[Outgoing] = Mirror(ledger, "outgoing/", Outgoing)
        """Id of an alert or a decision -> what is to be sent."""

    @property
    def paused(self) -> dict[int, str]:
        """Task -> who paused it, of those in which no model learns."""
        return self._pausing.by

    @property
    def lasting(self) -> list[str]:
        """The names of the alerts that last."""
        return [alert.name for alert in self._pipeline.alerts if self._standing(alert.name).lasts]

    def judge(self, reports: Reports, now_ms: int) -> None:
        """Judge the windows that can be and were not. ``now_ms``: when the newest report came."""
        judged = False
        for alert in self._pipeline.alerts:
            standing = self._standing(alert.name)
            before = standing.judged_time_ms
            for told in judge(alert, standing, reports):
                self.outgoing[told.alert] = Outgoing(alert=told)
            if standing.judged_time_ms != before:
                self._standings[alert.name] = standing
                judged = True
        if judged:
            self._decide(now_ms)

    def _decide(self, now_ms: int) -> None:
        pipeline, pausing = self._pipeline, self._pausing
        scores_slide_over_ms = round(pipeline.report_every.total_seconds() * 1000) * pipeline.sliding_periods
        decision = pausing.decide(
            pipeline.alerts, self._standings, pipeline.partitions, now_ms, stale_after_ms=scores_slide_over_ms
        )
        self._kept["all"] = pausing
        if decision is not None:
            self.outgoing[decision.id] = Outgoing(decision=decision)

    def answered(self, answer: DecisionRecord) -> None:
        """A task has answered a decision."""
        pausing = self._pausing
        pausing.answered(answer)
        self._kept["all"] = pausing

    def seen(self, name: str) -> None:
        """It lies in its topic: there is no need to send it any more."""
        self.outgoing.pop(name, None)

    @property
    def _pausing(self) -> Pausing:
        return self._kept.get("all", Pausing())

    def _standing(self, alert: str) -> Standing:
        return self._standings.get(alert, Standing())
