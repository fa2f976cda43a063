"""What a worker tells operators: once a batch, and now and then of each task and its inputs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from streams.batch import Batch
from streams.ports import Log, Telemetry
from streams.records import DecisionRecord
from streams.task import Step
from streams.task_run import TaskRun

WATCH_EVERY_S = 10.0
BLOCKED_WARN_S = 60.0
"""An open transaction that holds an input back for so long is told of: clients end theirs after 60 s by default."""

_DECISION_FIELDS = (
    *("task", "topic", "partition", "offset"),
    *("decision", "action", "model", "version", "by", "obeyed", "reason"),
)
_log = logging.getLogger("riverrun.inputs")
_decisions_log = logging.getLogger("riverrun.decisions")


def batches(tell: Telemetry, log: Log, wall: Callable[[], float], steps: list[tuple[TaskRun, Batch, Step]]) -> None:
    """Count what was just committed."""
    for run, batch, step in steps:
        task = str(run.task.partition)
        for topic, count in step.records.items():
            tell.count("records", count, topic=topic, task=task)
        for reason, count in step.rejects.items():
            tell.count("rejects", count, reason=reason, task=task)
        for outcome, count in step.labels.items():
            tell.count("labels", count, outcome=outcome, task=task)
        for watched, count in step.drifts.items():
            tell.count("drifts", count, watched=watched, task=task)
        for outcome, count in step.decisions.items():
            tell.count("decisions", count, outcome=outcome, task=task)
        if step.decisions:
            _log_decisions(step)
        tell.observe_all("label_delay_seconds", [delay_ms / 1000 for delay_ms in step.label_delays_ms])
        tell.count("predictions", step.predictions, task=task)
        tell.gauge("pending_labels", run.task.pending_labels, task=task)
        _scores(tell, step, task)
        behind = _lag(tell, log, run)
        if batch.records:
            age_s = wall() - batch.records[-1][1].timestamp_ms / 1000
            tell.gauge("lag_seconds", age_s if behind else 0.0, task=task)


def checkpoints(tell: Telemetry, runs: Iterable[TaskRun]) -> None:
    """Tell how much a restart would replay, also of a task that waits."""
    for run in runs:
        task = str(run.task.partition)
        tell.gauge("checkpoint_age_seconds", run.checkpoints.age_s, task=task)
        tell.gauge("replay_span_ratio", run.checkpoints.filled, task=task)


def _scores(tell: Telemetry, step: Step, task: str) -> None:
    for each in step.scores:
        tell.gauge("model_is_champion", float(each.role == "champion"), model=each.model, task=task)
        for score in each.cumulative.__struct_fields__:
            if (value := getattr(each.cumulative, score)) is not None:
                tell.gauge("model_score", value, model=each.model, score=score, task=task)
            if (value := getattr(each.sliding, score)) is not None:
                tell.gauge("model_sliding_score", value, model=each.model, score=score, task=task)


def _log_decisions(step: Step) -> None:
    for output in step.outputs:
        if output.name == "decisions":
            made = msgspec.json.decode(output.value, type=DecisionRecord)
            fields = {name: getattr(made, name) for name in _DECISION_FIELDS}
            what = "obeys" if made.obeyed else "refuses"
            why = made.why if made.obeyed else made.reason
            _decisions_log.info("task %d %s %s %s: %s", made.task, what, made.action, made.decision, why, extra=fields)


def _lag(tell: Telemetry, log: Log, run: TaskRun) -> bool:
    """Tell how far the task is behind; whether it is at all."""
    behind = False
    for topic, position in zip(run.topics, run.positions, strict=True):
        lag = log.lag(topic, run.task.partition, position)
        if lag is not None:
            behind = behind or lag > 0
            tell.gauge("lag_records", lag, topic=topic, task=str(run.task.partition))
    return behind


@dataclass(slots=True)
class Watch:
    """Looks at every task now and then: how far behind is it? And at each of its inputs: does retention
    come near the replay's start, does a transaction block it?"""

    tell: Telemetry
    log: Log
    due_s: float = 0.0
    beginnings: dict[tuple[str, int], int] = field(default_factory=dict)
    blocked: dict[tuple[str, int], tuple[int, float]] = field(default_factory=dict)  # stable end, seen there since
    warned: set[tuple[str, int]] = field(default_factory=set)

    def look(self, runs: list[TaskRun], now_s: float) -> list[TaskRun]:
        """The tasks that should be saved soon, for what they would replay is about to be deleted."""
        if now_s < self.due_s:
            return []
        self.due_s = now_s + WATCH_EVERY_S
        for run in runs:
            _lag(self.tell, self.log, run)  # also of a task that waits
            for index in range(len(run.topics)):
                self._blocked(run, index, now_s)
        looks = [(run, [self._squeezed(run, index) for index in range(len(run.topics))]) for run in runs]
        return [run for run, squeezed in looks if any(squeezed)]

    def forget(self) -> None:
        """The assignment changed."""
        self.beginnings.clear()
        self.blocked.clear()
        self.due_s = 0.0

    def _squeezed(self, run: TaskRun, index: int) -> bool:
        """Whether the log's beginning passes the replay's start before the look after the next, at its present pace."""
        topic, partition = at = run.topics[index], run.task.partition
        beginning = self.log.beginning_offset(topic, partition)
        moved = beginning - self.beginnings.get(at, beginning)
        self.beginnings[at] = beginning
        start = run.checkpoints.positions[index]
        self.tell.gauge("replay_margin_records", start - beginning, topic=topic, task=str(partition))
        return start < run.positions[index] and moved > 0 and beginning + 2 * moved >= start

    def _blocked(self, run: TaskRun, index: int, now_s: float) -> None:
        """Whether records lie behind the end that may be read: then a transaction is open there, since when?"""
        topic, partition = at = run.topics[index], run.task.partition
        end = None if index in run.paused else run.buffers.read_to(index)  # we have stopped reading by ourselves
        beyond = self.log.lag(topic, partition, end) if end is not None else 0
        if end is None or not beyond:
            self.blocked.pop(at, None)
            self.warned.discard(at)
        elif at not in self.blocked or self.blocked[at][0] != end:
            self.blocked[at] = (end, now_s)
        seconds = now_s - self.blocked[at][1] if at in self.blocked else 0.0
        self.tell.gauge("input_blocked_seconds", seconds, topic=topic, task=str(partition))
        if seconds >= BLOCKED_WARN_S and at not in self.warned:
            self.warned.add(at)
            _log.warning(
                "%s[%d] cannot be read past offset %s: a producer has left a transaction open for %.0f s. "
                "It ends by its timeout; `riverrun topics unblock FILE` ends one that Kafka forgot",
                *(topic, partition, end, seconds),
                extra={"task": partition, "topic": topic, "partition": partition, "offset": end},
            )
