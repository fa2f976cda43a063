"""Sums over all that tasks reported up to a moment, which go on as it comes instead of being made anew each time."""

from __future__ import annotations

from dataclasses import dataclass

from streams.adding import in_turn
from streams.merging import Reports
from streams.records import MetricsRecord


@dataclass(slots=True)
class _Known:
    epoch: int
    reports: int
    sum: MetricsRecord


class RunningSums:
    """What each task reported, as one report.

    Examples
    --------
    >>> from tests.infra.monitor.notes import reports
    >>> held, sums = Reports(tasks=1, kept=3, receipt_ms=60_000), RunningSums()
    >>> for report in reports(5, tasks=1):
    ...     _ = held.add(report, 0)
    ...     made = sums.until(held, held.windows[-1][1])
    >>> made[0].sequence, held.of_sums(0, held.windows[-1], made) == held.cumulative(held.windows[-1])
    (4, True)
    """

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}

    def until(self, reports: Reports, end_ms: int) -> dict[int, MetricsRecord]:
        """Task -> the sum of its reports of windows that end no later, and of all that are no longer held."""
        own: dict[int, list[MetricsRecord]] = {}
        for report in reports.held.values():
            if report.window_end_time_ms <= end_ms:
                own.setdefault(report.task, []).append(report)
        for task, life in reports.lives.items():
            folded = sum(last - first + 1 for first, last in life.folded)
            self._bring_up(task, life.epoch, folded, life.total, own.get(task, []))
        return {task: known.sum for task, known in self._known.items() if known.reports}

    def _bring_up(
        self, task: int, epoch: int, folded: int, total: MetricsRecord | None, own: list[MetricsRecord]
    ) -> None:
        known = self._known.get(task)
        newer = [report for report in own if known and report.sequence > known.sum.sequence]
        if known and known.epoch == epoch and known.reports + len(newer) == folded + len(own):
            parts = [known.sum, *newer]
        else:  # one came late, or the task began anew
            parts = [*([total] if total else []), *own]
        if parts and (known is None or parts != [known.sum]):
            self._known[task] = _Known(epoch, folded + len(own), in_turn(*parts) if len(parts) > 1 else parts[0])
        elif not parts:
            self._known.pop(task, None)
