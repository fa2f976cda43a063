"""When one task is saved, so that a restart replays little, and how: the data path waits for a fork, or less.

    steps       ───■───■───■───■───■───■───■───▶
    0.7 full             │ fork                     span: what a restart would have to replay
    background           └ pickle, compress, sign, store ┐
    journal                                              └▶ named by the next record: the span shrinks
    full                         the task waits until the store has taken it

A state that is small rides in every journal record, and the span is always empty.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streams import checkpoint
from streams.checkpoint import BlobName
from streams.errors import StoreUnavailable
from streams.journal import JournalRecord, Saved
from streams.pipeline import Pipeline
from streams.ports import Freeze
from streams.shelf import Shelf, left_over
from streams.store import Store
from streams.task import Task

BEGIN_AT = 0.7
"""How full the span is when a checkpoint is begun: it is safe before the span is full, if saving is quick enough."""

SPAN_MIN_S = 1.0
SPAN_OF_SAVING = 4.0
"""The span's length where none is declared: a second, and this many times what it takes to save the state, if that is
more. So a large state is not pickled all the time: 1 / (4 x 0.7) = 36 % of a core at the most."""

FORK_FROM_S = 0.03
"""A state that is pickled sooner than this is pickled in place: a fork costs the data path more. Whatever is written to
after it is copied first, a page at a time."""

KEPT = 3
"""Blobs kept of a task: the newest, and two to fall back to."""

RETRY_S_MAX = 30.0
_log = logging.getLogger("riverrun.checkpoints")


@dataclass(frozen=True, slots=True)
class Span:
    """What a restart replays: so many records, that took so long to step over."""

    records: int = 0
    seconds: float = 0.0

    def less(self, other: Span) -> Span:
        """What is left when another span is safe."""
        return Span(self.records - other.records, self.seconds - other.seconds)


class Written(NamedTuple):
    """A blob that is safe in the store: its name, its size in bytes as it is and as it was pickled, and when it was
    pickled and when safe."""

    name: str
    size: int
    pickled: int
    pickled_s: float
    safe_s: float


@dataclass(frozen=True, slots=True)
class Pending:
    """A checkpoint being written: of the state after which record, what was to be replayed and read then."""

    blob: Future[Written]
    sequence: int
    span: Span
    positions: tuple[int, ...]
    started_s: float


@dataclass(slots=True)
class Checkpointer:
    """One task's checkpoints.

    ``names`` are the blobs the journal knows, oldest first; ``sequence`` is the journal record whose state is safe, and
    ``positions`` where the inputs stood then: what lies before is never read again.
    """

    pipeline: Pipeline
    store: Store
    partition: int
    names: list[str]
    sequence: int
    positions: tuple[int, ...]
    span: Span = field(default_factory=Span)
    inline: bool = True
    pending: Pending | None = None
    telling: bool = False  # the record that names what was pending is on its way
    retry_at_s: float = 0.0
    failures: int = 0
    warned_bytes: int = 0
    pickling_s: float = 0.0  # how long the last one took until it was pickled,
    saving_s: float = 0.0  # and until it was safe
    safe_s: float = field(init=False)  # when the state that is safe was pickled
    shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        self.shelf = Shelf(self.store, self.partition, since=self.sequence)
        self.safe_s = self.store.clock()

    @property
    def full(self) -> bool:
        """Whether a batch more would be more to replay than declared."""
        return self.filled >= 1.0

    @property
    def filled(self) -> float:
        """How much a restart would replay, as a share of what is declared: records or seconds, whichever is more."""
        declared = self.pipeline.replay_max
        limit_s = declared.total_seconds() if declared else max(SPAN_MIN_S, SPAN_OF_SAVING * self.saving_s)
        return max(self.span.records / self.pipeline.checkpoint_every, self.span.seconds / limit_s)

    @property
    def age_s(self) -> float:
        """For how long the state that a restart loads has been out of date; 0 when nothing would be replayed."""
        return self.store.clock() - self.safe_s if self.span.records else 0.0

    def sent(self, task: Task, record: JournalRecord, seconds: float) -> None:
        """A batch that took so long is on its way, with the state in its record or a checkpoint named by it."""
        self.shelf.note_dropped(task.versions, record.sequence)
        self.telling = record.checkpoint is not None
        if record.state:
            self.span, self.pending = Span(), None  # whatever is being written is older
        else:
            self.span = Span(self.span.records + record.records, self.span.seconds + seconds)

    def small(self, task: Task) -> bytes | None:
        """The sealed state, if it is small enough to ride in a journal record."""
        if not self.inline or task.versions.unsaved:
            return None
        pickled = self._frozen(task)()
        sealed = checkpoint.seal(pickled, self.store.key)
        self._weigh(task, len(pickled))
        self.inline = len(sealed) <= self.pipeline.inline_bytes_max
        return sealed if self.inline else None

    def begin(self, task: Task, sequence: int, positions: Iterable[int], *, early: bool = False) -> None:
        """Take the state, and have it written in the background, if it is time to; ``early``: before it is.

        Versions of models are stored whenever there are any. The state after the record ``sequence`` is committed.
        """
        self.shelf.put_away(task.versions)
        if self.pending or self.store.clock() < self.retry_at_s or not (early or self.filled >= BEGIN_AT):
            return
        started_s = self.store.clock()
        frozen = self._frozen(task, self.store.freeze if self.pickling_s > FORK_FROM_S else checkpoint.freeze_here)

        def write() -> Written:
            pickled = frozen()
            pickled_s = self.store.clock()
            return self._write(checkpoint.seal(pickled, self.store.key), sequence, len(pickled), pickled_s)

        blob = self.store.background.submit(write)
        self.pending = Pending(blob, sequence, self.span, tuple(positions), started_s)

    def done(self, task: Task) -> bool:
        """Whether the blob under way is written, or failed, the versions of models are, and the journal is untold."""
        pending = self.pending
        return pending is not None and not self.telling and pending.blob.done() and not task.versions.unsaved

    def finished(self, task: Task) -> Saved | None:
        """The checkpoint that is safe in the store and not yet in the journal."""
        pending = self.pending
        if pending is None or not self.done(task):
            return None
        try:
            return Saved(pending.blob.result().name, pending.sequence)
        except StoreUnavailable as error:
            self.pending = None
            self._failed(error)
            return None

    def now(self, task: Task, sequence: int, positions: Iterable[int]) -> Saved | bytes | None:
        """Save at once what will be the state after the record ``sequence``; None when the store does not take it."""
        started_s = self.store.clock()
        pickled = self._frozen(task)()
        pickled_s = self.store.clock()
        sealed, done = checkpoint.seal(pickled, self.store.key), Future[Written]()
        try:
            self.shelf.store_now(task.versions)
            if len(sealed) <= self.pipeline.inline_bytes_max:
                return sealed
            done.set_result(self._write(sealed, sequence, len(pickled), pickled_s))
        except StoreUnavailable as error:
            self._failed(error)
            return None
        self.pending = Pending(done, sequence, self.span, tuple(positions), started_s)
        return self.finished(task)

    def journaled(self, task: Task, record: JournalRecord, positions: tuple[int, ...]) -> None:
        """The record that was sent last is committed; its batch ends at these positions."""
        saved, self.telling = record.checkpoint, False
        if record.state:
            self.sequence, self.positions, self.safe_s = record.sequence, positions, self.store.clock()
            if self.shelf.stale:
                self._let_go(task, oldest=record.sequence)
        elif saved is not None:
            pending = self.pending
            assert pending is not None
            self.sequence, self.positions, self.safe_s = saved.sequence, pending.positions, pending.started_s
            self.span, self.pending, self.failures = self.span.less(pending.span), None, 0
            written = pending.blob.result()
            self.inline = written.size <= self.pipeline.inline_bytes_max
            self.pickling_s = written.pickled_s - pending.started_s
            self.saving_s = written.safe_s - pending.started_s
            self._weigh(task, written.pickled)
            self.names.append(saved.name)
            del self.names[:-KEPT]
            oldest = BlobName.parse(self.names[0])
            self._let_go(task, oldest=oldest.sequence if oldest else -1)
            seconds, label = self.store.clock() - pending.started_s, str(self.partition)
            self.store.telemetry.observe("checkpoint_seconds", seconds, task=label)

    def _let_go(self, task: Task, oldest: int) -> None:
        """Have deleted what no restart can ask for: ``oldest`` is the oldest record whose state it may load."""
        kept, spared, now_ms = list(self.names), self.shelf.spare(task.versions, oldest), task.now_ms
        self.store.background.submit(lambda: self._collect(kept, spared, now_ms))

    def _collect(self, kept: list[str], spared: set[str] | None, now_ms: int) -> None:
        try:
            names = list(self.store.blobs.names())
            gone = checkpoint.superseded(names, self.partition, kept)
            gone += left_over(names, self.partition, spared, now_ms) if spared is not None else []
            for name in gone:
                self.store.blobs.delete(name)
        except StoreUnavailable as error:
            fields = {"task": self.partition}
            _log.warning("task %d: old checkpoints stay for now: %s", self.partition, error, extra=fields)

    def _frozen(self, task: Task, freeze: Freeze = checkpoint.freeze_here) -> Callable[[], bytes]:
        started_s, tell = self.store.clock(), self.store.telemetry
        with tell.span("freeze", task=self.partition):
            frozen = freeze(task.state())
        tell.observe("checkpoint_pickle_seconds", self.store.clock() - started_s, task=str(self.partition))
        return frozen

    def _write(self, sealed: bytes, sequence: int, pickled: int, pickled_s: float) -> Written:
        with self.store.telemetry.span("store", task=self.partition, bytes=len(sealed)):
            name = checkpoint.write(self.store.blobs, sealed, self.partition, sequence)
        return Written(name, len(sealed), pickled, pickled_s, self.store.clock())

    def _weigh(self, task: Task, pickled: int) -> None:
        self.store.telemetry.gauge("checkpoint_bytes", pickled, task=str(self.partition))
        if pickled > max(self.pipeline.state_bytes_max, 2 * self.warned_bytes):
            self.warned_bytes = pickled
            _log.warning(
                "the state of task %d is %d bytes, over its budget of %d: saving and moving it is slow. Largest: %s. "
                "Bound the models (a tree's max_size), shorten expire_after or windows, or raise state_bytes_max",
                self.partition,
                pickled,
                self.pipeline.state_bytes_max,
                ", ".join(f"{name} {size}" for name, size in sizes(task.state())[:3]),
                extra={"task": self.partition, "bytes": pickled},
            )

    def _failed(self, error: StoreUnavailable) -> None:
        self.failures += 1
        self.retry_at_s = self.store.clock() + min(2.0 ** (self.failures - 1), RETRY_S_MAX)
        self.store.telemetry.count("checkpoint_failures", 1, task=str(self.partition))
        said = "task %d goes on without a checkpoint until its replay span is full: %s"
        _log.warning(said, self.partition, error, extra={"task": self.partition})


def sizes(state: dict[str, Any]) -> list[tuple[str, int]]:
    """The parts of a state with their pickled sizes, the largest first."""
    parts = {name: part for name, part in state.items() if name != "panel"}
    parts |= {f"model {name}": model for name, model in state["panel"]["models"].items()}
    return sorted(((name, len(pickle.dumps(part))) for name, part in parts.items()), key=lambda size: -size[1])
