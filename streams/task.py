"""A task: partition p of every input of a pipeline, and all the state that belongs to it.

``Task.step(batch)`` is deterministic: it reads no clock, does no I/O and draws nothing that is not seeded in its state.
Time is the records' own. The worker, recovery, the backtest and the tests' simulator run this same class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.classes import CLASSES_MAX
from models.digest import state_digest
from models.learner import Label, Role
from models.panel import Panel
from models.pending import HeldLabel, PendingEvent, PendingLabels
from models.scores import Values
from streams import control, outputs
from streams.agenda import Agenda, Entry, Expire, Learn, Place, Predict
from streams.batch import Batch
from streams.control import Control
from streams.errors import Declined, RecordRejected, VersionUnavailable
from streams.featurizer import Featurizer, Memory
from streams.intake import Intake, name_of
from streams.outputs import PREDICTION_BYTES_MAX, LabelFound
from streams.pipeline import Pipeline
from streams.ports import Output, Record
from streams.records import ModelScores
from streams.report import Counts, PeriodReport
from streams.schema import TIME_MS_MAX, Event
from streams.target import Target
from streams.versions import Versions, as_of, nothing_stored

TIME_UNKNOWN_MS = -1
"""The time of a task that has seen no record, and Kafka's word for a record without a timestamp."""

STRETCH = 500
"""Records that are walked over before the models are asked: what so many touch stays in a processor's caches."""

LEAP_MAX_MS = 86_400_000
"""How far one record moves the task's time forward at the most: a day. A gap of more is made up by later records."""


@dataclass(slots=True)
class Step:
    """What a batch led to: the outputs in order, and counts for operators."""

    outputs: list[Output] = field(default_factory=list)
    records: Counter[str] = field(default_factory=Counter)  # by topic
    rejects: Counter[str] = field(default_factory=Counter)  # by reason
    labels: Counter[str] = field(default_factory=Counter)  # by what became of them
    drifts: Counter[str] = field(default_factory=Counter)  # by what was watched
    decisions: Counter[str] = field(default_factory=Counter)  # obeyed, refused
    label_delays_ms: list[int] = field(default_factory=list)
    predictions: int = 0
    scores: list[ModelScores] = field(default_factory=list)  # when a period was closed


def _record_of(label: HeldLabel) -> Record:
    return Record(label.offset, label.timestamp_ms, label.key, label.value)


def _too_many_classes(label: Label) -> RecordRejected:
    what = f"{label!r} would be one class too many: {CLASSES_MAX:,} at the most, fewer where their names are long"
    return RecordRejected(what, reason="too_many_classes", field="target")


class Task:
    """The functional core of a pipeline for one partition.

    Parameters
    ----------
    pipeline
        The declaration. It is not changed; several tasks may share it.
    partition
        Which partition this task owns, from 0.
    load_version
        Gives a version of a model that is no longer in memory, by the name of its blob: always the same one.
    """

    def __init__(self, pipeline: Pipeline, partition: int, load_version: Callable[[str], Any] | None = None) -> None:
        self.pipeline, self.partition = pipeline, partition
        self.versions = Versions(partition, pipeline.versions_max, load_version or nothing_stored)
        self._inputs = pipeline.inputs
        self._intakes = [Intake(stream) for stream in self._inputs]
        self._topics = [stream.topic for stream in self._inputs]
        self._events_index = len(self._inputs) - 1
        self._labels_index = self._events_index - 1
        self._control_index = len(self._inputs)
        self._control = Control()
        self._label = Target(pipeline)
        self._topic, self._id = pipeline.events.topic, pipeline.events.id
        labels = pipeline.labels
        self._labels_topic = labels.topic
        ttl_ms = round(labels.expire_after.total_seconds() * 1000)
        roles: list[Role] = ["champion", *["challenger"] * len(pipeline.challengers)]  # type: ignore[list-item]
        roles += ["baseline"] * len(pipeline.baselines)
        self._featurizer = Featurizer(pipeline)
        self._panel = Panel(
            list(zip(pipeline.learners, roles, strict=True)), pipeline.kind, pipeline.drift, pipeline.sliding_periods
        )
        self._agenda = Agenda(self._panel, pipeline.name, pipeline.events.topic, partition)
        self._pending = PendingLabels(ttl_ms, labels.pending_max, hold_early=labels.early == "hold")
        self._report = PeriodReport(round(pipeline.report_every.total_seconds() * 1000))
        self._now_ms = TIME_UNKNOWN_MS
        self._quiet_until_ms = 0  # before, no period ends and nothing expires
        self._step, self._counts = Step(), Counts(len(self._topics))
        for table in pipeline.tables:
            table.load()

    @property
    def now_ms(self) -> int:
        """The task's time: the highest record timestamp seen, ms since the Unix epoch."""
        return self._now_ms

    @property
    def model_versions(self) -> dict[str, str]:
        """The version that each model predicts as now."""
        return {model.name: model.version for model in self._panel.models}

    @property
    def epoch(self) -> int:
        """Which life of the task this is: what its reports are numbered by, besides their sequence."""
        return self._report.epoch

    def begin(self, epoch: int) -> None:
        """Begin a life: a task that is made anew behind reports of a former life has a higher epoch."""
        assert self._now_ms == TIME_UNKNOWN_MS, "a life begins before the first record"
        self._report.epoch = epoch

    @property
    def pending_labels(self) -> int:
        """Events that wait for their label."""
        return len(self._pending)

    def step(self, batch: Batch) -> Step:
        """Take in a batch, in its order; learn; say what to put out."""
        self._step = step = Step()
        for start in range(0, len(batch.records), STRETCH):
            self._walk(batch.records[start : start + STRETCH], batch.skipped)
            self._work_off()
        self._count()
        self._pending.resolved.forget(self._now_ms)
        return step

    def _walk(self, records: Sequence[tuple[int, Record]], skipped: Mapping[Place, RecordRejected]) -> None:
        """Take in some records; no model is asked yet."""
        counts, repairs = self._counts.records, self._report.repairs
        intakes, memories = self._intakes, self._featurizer.memories
        for index, record in records:
            if index == self._control_index:
                self._work_off()
                self._decide(record, skipped.get((index, record.offset)))
                continue
            timestamp_ms = record[1]
            if timestamp_ms > self._now_ms:
                if timestamp_ms < self._quiet_until_ms:
                    self._now_ms = timestamp_ms
                elif timestamp_ms <= TIME_MS_MAX:
                    self._advance(timestamp_ms)
            counts[index] += 1
            try:
                if skipped and (index, record.offset) in skipped:
                    raise skipped[index, record.offset]
                event, time_ms = intakes[index](record, repairs)
                self._take(index, memories[index], record, event, time_ms)
            except RecordRejected as rejected:
                self._reject(self._topics[index], record, rejected)

    def _take(self, index: int, memory: Memory | None, record: Record, event: Event, time_ms: int) -> None:
        if memory is not None:
            memory.admit(event, self._now_ms)
        if index == self._events_index:
            self._on_event(event, record, time_ms)
        elif index == self._labels_index and not self._on_label(event, record, time_ms):
            return
        if memory is not None:
            memory.observe(event, time_ms, self._now_ms)

    def _work_off(self) -> None:
        """Do what the records so far ask of the models."""
        agenda = self._agenda
        self._report.features.add([each.event.features for each in agenda.entries if isinstance(each, Predict)])
        self._step.outputs += agenda.work_off(self._step.drifts)

    def _count(self) -> None:
        """Add what happened since to the step's counts and to those of the period."""
        counts, step = self._counts, self._step
        self._report.add(counts, self._topics)
        step.records.update({topic: n for topic, n in zip(self._topics, counts.records, strict=True) if n})
        step.labels.update(counts.labels)
        step.rejects.update(counts.rejects)
        step.label_delays_ms += counts.label_delays_ms
        counts.clear()

    def _advance(self, now_ms: int) -> None:
        """Let the time pass, by ``LEAP_MAX_MS`` at most: one record from the future must not expire all that waits."""
        if now_ms > self._now_ms + LEAP_MAX_MS and self._now_ms > TIME_UNKNOWN_MS:
            now_ms = self._now_ms + LEAP_MAX_MS
        if now_ms >= self._report.due_ms:
            self._begin_period(now_ms)
        self._now_ms = now_ms
        self._expire()
        expires_ms = self._pending.expires_ms(now_ms)
        self._quiet_until_ms = min(self._report.due_ms, expires_ms, now_ms + LEAP_MAX_MS)

    def _expire(self) -> None:
        """Let go of what has waited too long, or is too much."""
        events, labels = self._pending.expire(self._now_ms)
        for event in events:
            self._count_label("expired")
            self._put(Expire(event, self._now_ms))
        for event_id, label in labels:
            self._orphan(event_id, label)

    def _decide(self, record: Record, skipped: RecordRejected | None) -> None:
        """Obey a decision, or say why not. It moves no time, as it comes from people's clocks."""
        topic, now_ms = self.pipeline.topic("control"), max(self._now_ms, 0)
        self._step.records[topic] += 1
        try:
            if skipped is not None:
                raise skipped
            made = control.decode(record.value)
        except RecordRejected as rejected:
            self._reject(topic, record, rejected)
            return
        reason = ""
        try:
            places = self._control.obey(made, self._panel, self.versions, now_ms)
        except control.Refused as refused:
            reason = str(refused)
        except VersionUnavailable as failed:
            failed.record = (self._control_index, record.offset)
            raise
        else:
            if places is not None:
                self._pending.move_predictions(places)
        self._step.decisions["refused" if reason else "obeyed"] += 1
        number = self._control.obeyed
        self._put(outputs.decision(made, reason, number, topic, self.partition, record.offset, now_ms))
        self._tell_versions()

    def _on_event(self, event: Event, record: Record, time_ms: int) -> None:
        event_id, pending, now_ms = name_of(event, self._id), self._pending, self._now_ms
        if pending.knows(event_id, now_ms):
            raise RecordRejected(f"event {event_id} was seen before", reason="duplicate_event", field=self._id)
        offset, at_ms, key, _ = record
        waiting = PendingEvent(event_id, key, time_ms, offset, self._featurizer.features(event, time_ms, now_ms), ())
        try:
            features = outputs.features(waiting, self._topic, self.partition, at_ms)
        except UnicodeEncodeError as error:
            raise RecordRejected(f"a feature is no valid text: {error}", reason="feature_type") from error
        if len(features.value) > PREDICTION_BYTES_MAX:
            raise outputs.too_large(features)
        place = (self._events_index, offset)
        self._put(Predict(waiting, features, now_ms, place))
        self._step.predictions += 1
        pending.add(waiting, now_ms)
        if pending.overfull:
            self._expire()
        if pending.held and (held := pending.take_held(event_id)) is not None:
            self._meet(waiting, held, place)

    def _meet(self, waiting: PendingEvent, held: HeldLabel, place: Place) -> None:
        """The event that an early label was held for has come."""
        if self._panel.admits(held.label):
            found = LabelFound(held.label, held.label_time_ms, self._labels_topic, held.offset)
            self._learn(waiting, found, place)
        else:
            self._reject(self._labels_topic, _record_of(held), _too_many_classes(held.label))

    def _on_label(self, event: Event, record: Record, time_ms: int) -> bool:
        """Whether the label says something new: a second one of an event does not, and windows do not count it."""
        event_id = name_of(event, self.pipeline.labels.joins)
        label = self._label(event)
        met, waiting = self._pending.match(event_id, label, self._now_ms)
        if met == "scored":
            assert waiting is not None
            if not self._panel.admits(label):
                raise _too_many_classes(label)
            found = LabelFound(label, time_ms, self._labels_topic, record.offset)
            self._learn(waiting, found, (self._labels_index, record.offset))
            return True
        held = HeldLabel(label, time_ms, *record)
        if met == "held":
            self._count_label("early")
            self._pending.hold(event_id, held, self._now_ms)
            if self._pending.overfull:
                self._expire()
        elif met == "orphan":
            self._orphan(event_id, held)
        else:
            self._unwanted(met, event_id, held)
            return False
        return True

    def _learn(self, event: PendingEvent, found: LabelFound, place: Place) -> None:
        self._put(Learn(event, found, self._now_ms, place))
        self._pending.resolve(event.event_id, found.label, self._now_ms)
        self._count_label("scored")
        self._counts.label_delays_ms.append(found.time_ms - event.event_time_ms)

    def _orphan(self, event_id: str, label: HeldLabel) -> None:
        self._unwanted("orphan", event_id, label)

    def _unwanted(self, met: str, event_id: str, label: HeldLabel) -> None:
        """A label that is not learned from: count it, and reject it if that is the declared policy."""
        self._count_label(met)
        labels = self.pipeline.labels
        if getattr(labels, met) == "reject":
            rejected = RecordRejected(f"{met} label of {event_id}", reason=f"{met}_label", field=labels.joins)
            self._reject(labels.topic, _record_of(label), rejected)

    def _reject(self, topic: str, record: Record, rejected: RecordRejected) -> None:
        self._counts.rejects[rejected.reason] += 1
        self._put(outputs.reject(topic, self.partition, record, rejected, max(self._now_ms, 0)))

    def _begin_period(self, now_ms: int) -> None:
        if self._report.start_ms is None:
            self._report.open(now_ms)
            return
        self._work_off()
        self._count()
        report = self._report.close(self.partition, now_ms, len(self._pending), self._panel.models, self._panel.scores)
        self._put(outputs.metrics(report))
        self._step.scores = report.models
        every_ms = round(self.pipeline.version_every.total_seconds() * 1000)
        begun, now = (start_ms // every_ms for start_ms in (report.window_start_time_ms, self._report.start_ms or 0))
        if begun < now:
            for model in self._panel.models:
                self.versions.keep(model, as_of(now * every_ms), self._now_ms)
            self._tell_versions()

    def _tell_versions(self) -> None:
        """Of versions that were kept or dropped since."""
        if not self.versions.news:
            return
        values = {m.name: s.window().values() for m, s in zip(self._panel.models, self._panel.scores, strict=True)}
        for version, kept in self.versions.news:
            of = values.get(version.model, Values(0))
            self._put(outputs.version(version, self.partition, max(self._now_ms, 0), of, kept=kept))
        self.versions.news.clear()

    def _count_label(self, what: str) -> None:
        self._counts.labels[what] += 1

    def _put(self, entry: Entry) -> None:
        self._agenda.entries.append(entry)

    def state(self) -> dict[str, Any]:
        """The whole state of the task. It lives on: pickle it before the next step."""
        self._pending.resolved.forget(self._now_ms)  # also where no step came before
        return {
            "pipeline": self.pipeline.name,
            "partition": self.partition,
            "now_ms": self._now_ms,
            "featurizer": self._featurizer.state(),
            "panel": self._panel.state(),
            "pending": self._pending,
            "report": self._report,
            "control": self._control,
            "versions": self.versions.listed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state`` gave. Raises Declined when it is another task's."""
        if (state["pipeline"], state["partition"]) != (self.pipeline.name, self.partition):
            raise Declined(
                f"the state belongs to {state['pipeline']}[{state['partition']}]",
                where=f"{self.pipeline.name}[{self.partition}]",
                remedy="give each pipeline a name of its own",
            )
        self._now_ms, self._quiet_until_ms = state["now_ms"], 0
        self._control = state["control"]
        self.versions.listed = state["versions"]
        self._featurizer.restore(state["featurizer"])
        places = self._panel.restore(state["panel"])
        self._pending.go_on_from(state["pending"])
        if places != list(range(len(state["panel"]["models"]))):
            self._pending.move_predictions(places)
        report: PeriodReport = state["report"]
        if report.period_ms == self._report.period_ms:
            self._report = report
        self._report.epoch, self._report.sequence = report.epoch, report.sequence

    def successor(self, state: dict[str, Any]) -> Task:
        """Another task with this state, that knows the same versions of models."""
        task = Task(self.pipeline, self.partition, self.versions.load)
        task.restore(state)
        task.versions.unsaved = dict(self.versions.unsaved)
        return task

    def digest(self) -> str:
        """Canonical digest of the state: equal for equal states, in whichever process they came about."""
        return state_digest(self.state())
