"""The reports of all tasks, kept so that they make windows of the whole pipeline: each counted once, in whatever order.

```text
  windows      8:00    9:00    10:00   11:00      the newest ``kept`` that any task reported of
  task 0      ┄total┄┄┄[ 4 ]   [ 5 ]   [ 6 ]      held, by sequence; what is older is folded into one total
  task 1      ┄total┄┄┄        [ 3 ]              nothing happened to it at 9:00; of 11:00 it may still report
```

What is known is a function of the set of reports that came, not of their order, nor of how often one came. A report is
named by (task, epoch, sequence). A higher epoch is a new life of a task: it reads its inputs from their beginning and
reports of them again, so all of its former life is forgotten. No clock, no Kafka: who receives says when.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping

import msgspec

from streams.adding import PipelineReport, in_turn, side_by_side
from streams.records import MetricsRecord

WINDOWS_AHEAD = 3
"""A window is waited for until there are so many newer ones."""

Window = tuple[int, int]
"""Start and end of a window, ms since the Unix epoch."""


class Life(msgspec.Struct):
    """What is known of the newest life of a task, besides its reports that are held.

    ``end_time_ms`` is the end of the newest window that it reported of. ``folded`` are the sequences of reports that
    are no longer held, as ranges from first to last, and ``total`` is the sum of them.
    """

    epoch: int
    end_time_ms: int = 0
    folded: list[tuple[int, int]] = []
    total: MetricsRecord | None = None


class Reports(msgspec.Struct):
    """The reports of a pipeline's tasks. Written to JSON and read again it goes on as before.

    Parameters
    ----------
    tasks
        How many tasks the pipeline has: its partitions.
    kept
        How many windows are held, of event time and of processing time each. No fewer than a sliding window spans.
    receipt_ms
        Length of a window of processing time.
    windows
        The newest that any report was of, oldest first.
    held
        "task/sequence" -> a report of one of the windows.
    lives
        Task -> what else is known of it.
    receipts
        "start/task" -> the sum of the reports that came for the first time in this window of processing time.

    Each of the three dicts may be a table: no value is much larger than a report.

    Examples
    --------
    >>> report = MetricsRecord(0, 0, 0, 0, 60_000, [], [], [], [], 3, [1_000], [0, 0], 0, 0, [], None, [])
    >>> reports = Reports(tasks=2, kept=48, receipt_ms=60_000)
    >>> reports.add(report, received_time_ms=5_000), reports.add(report, received_time_ms=6_000)
    (True, False)
    >>> merged = reports.merged((0, 60_000))
    >>> merged.tasks, merged.waiting, merged.pending_labels
    ([0], [1], 3)
    """

    tasks: int
    kept: int
    receipt_ms: int
    windows: list[Window] = []
    held: dict[str, MetricsRecord] = {}
    lives: dict[int, Life] = {}
    receipts: dict[str, MetricsRecord] = {}

    def add(self, report: MetricsRecord, received_time_ms: int) -> bool:
        """Take in a report; whether it was news. False for a repeat, and for one of a former life."""
        window = _window_of(report)
        self._see(window)
        life = self.lives.get(report.task)
        if life is not None and report.epoch < life.epoch:
            return False
        if life is None or report.epoch > life.epoch:
            self._forget(report.task)
            life = self.lives[report.task] = Life(report.epoch)
        name = f"{report.task}/{report.sequence}"
        if name in self.held or any(first <= report.sequence <= last for first, last in life.folded):
            return False
        life.end_time_ms = max(life.end_time_ms, window[1])
        if window in self.windows:
            self.held[name] = report
        else:
            _fold(life, report)
        self._receive(report, received_time_ms)
        return True

    def _see(self, window: Window) -> None:
        """Hold this window, too, if it is new enough; fold what is no longer held."""
        if window in self.windows:
            return
        insort(self.windows, window, key=_by_end)
        while len(self.windows) > self.kept:
            gone = self.windows.pop(0)
            for name in [name for name, report in self.held.items() if _window_of(report) == gone]:
                report = self.held.pop(name)
                _fold(self.lives[report.task], report)

    def _forget(self, task: int) -> None:
        for table in (self.held, self.receipts):
            for name in [name for name, report in table.items() if report.task == task]:
                del table[name]

    def _receive(self, report: MetricsRecord, received_time_ms: int) -> None:
        start = received_time_ms - received_time_ms % self.receipt_ms
        name = f"{start}/{report.task}"
        before = self.receipts.get(name)
        self.receipts[name] = in_turn(before, report) if before else report
        kept = set(self.received_windows()[-self.kept :])
        for old in [name for name in self.receipts if self._received_window(name) not in kept]:
            del self.receipts[old]

    def _received_window(self, name: str) -> Window:
        start = int(name.partition("/")[0])
        return start, start + self.receipt_ms

    def waiting(self, window: Window) -> list[int]:
        """The tasks that may still report of this window of event time."""
        ends = {task: life.end_time_ms for task, life in self.lives.items()}
        return [task for task in range(self.tasks) if ends.get(task, 0) < window[1]]

    def settled(self, window: Window) -> bool:
        """Whether a window may be judged: all tasks have reported of it, or the others are well ahead of those that
        have not. A task whose partition brings nothing would hold up the rest for ever.
        """
        newer = len(self.windows) - 1 - self.windows.index(window)
        return newer >= WINDOWS_AHEAD or not self.waiting(window)

    def merged(self, window: Window) -> PipelineReport:
        """One window of event time. Raises ValueError when it is not held, no longer or not yet."""
        return self.sliding(window, 1)

    def sliding(self, window: Window, length: int) -> PipelineReport:
        """The last ``length`` windows of event time, this one included. Raises ValueError when it is not held."""
        place = self.windows.index(window)
        spanned = self.windows[max(place - length + 1, 0) : place + 1]
        return self._report(min(start for start, _ in spanned), window, self.last(window, length))

    def cumulative(self, window: Window) -> PipelineReport:
        """All windows of event time up to this one. Raises ValueError when it is not held."""
        reports = self.until(window)
        return self._report(min((r.window_start_time_ms for r in reports), default=window[0]), window, reports)

    def last(self, window: Window, length: int) -> list[MetricsRecord]:
        """What tasks reported of the last ``length`` windows. Raises ValueError when this one is not held."""
        place = self.windows.index(window)
        spanned = set(self.windows[max(place - length + 1, 0) : place + 1])
        return [report for report in self.held.values() if _window_of(report) in spanned]

    def until(self, window: Window) -> list[MetricsRecord]:
        """What tasks reported up to this window, with sums of what is no longer held. Raises ValueError as above."""
        totals = [life.total for life in self.lives.values() if life.total is not None]
        return [*totals, *self.last(window, len(self.windows))]

    def received_windows(self) -> list[Window]:
        """The windows of processing time that reports were received in, oldest first."""
        return sorted({self._received_window(name) for name in self.receipts})

    def received(self, window: Window) -> PipelineReport:
        """What was received in a window of processing time. Each report is in that of its first arrival only."""
        reports = {r.task: r for name, r in self.receipts.items() if self._received_window(name) == window}
        return side_by_side(window, reports, reports, [task for task in range(self.tasks) if task not in reports])

    def _report(self, start_ms: int, window: Window, parts: Iterable[MetricsRecord]) -> PipelineReport:
        by_task: dict[int, list[MetricsRecord]] = {}
        for part in parts:
            by_task.setdefault(part.task, []).append(part)
        return self.of_sums(start_ms, window, {task: in_turn(*own) for task, own in by_task.items()})

    def of_sums(self, start_ms: int, window: Window, sums: Mapping[int, MetricsRecord]) -> PipelineReport:
        """What tasks reported from ``start_ms`` to the end of this window, from each one's sum of it."""
        newest = {task: life.total for task, life in self.lives.items() if life.total is not None}
        for report in sorted(self.held.values(), key=lambda report: report.sequence):
            if _by_end(_window_of(report)) <= _by_end(window):
                newest[report.task] = report
        return side_by_side((start_ms, window[1]), sums, newest, self.waiting(window))


def _window_of(report: MetricsRecord) -> Window:
    return report.window_start_time_ms, report.window_end_time_ms


def _by_end(window: Window) -> Window:
    """Windows in the order in which a task reports of them, whatever their lengths: those may change with a deploy."""
    return window[1], window[0]


def _fold(life: Life, report: MetricsRecord) -> None:
    life.total = in_turn(life.total, report) if life.total else report
    ranges = sorted([*life.folded, (report.sequence, report.sequence)])
    life.folded = ranges[:1]
    for first, last in ranges[1:]:
        start, end = life.folded[-1]
        if first == end + 1:
            life.folded[-1] = (start, last)
        else:
            life.folded.append((first, last))
