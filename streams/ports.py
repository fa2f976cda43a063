"""What the shells ask of the outside world. Kafka answers in production, an in-memory log in the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, TypeVar

T = TypeVar("T")


class Record(NamedTuple):
    """One record of a topic's partition, as it lies in the log."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class Output(NamedTuple):
    """One record to write: to which output ("predictions", …), with which key, value and timestamp."""

    name: str
    key: bytes | None
    value: bytes
    timestamp_ms: int


class Fetched(NamedTuple):
    """What a poll brought for one partition of one input.

    ``end_offset`` is set when the partition is read to its end: the offset of the next record to come, which lies
    past the markers of transactions.
    """

    topic: str
    partition: int
    records: list[Record]
    end_offset: int | None


class Assignment(Protocol):
    """Called from within ``poll`` when partitions come and go. Partition p stands for the task p."""

    def assigned(self, partitions: list[int]) -> None: ...

    def revoked(self, partitions: list[int], *, lost: bool) -> None: ...


class Log(Protocol):
    """A partitioned log with transactions and consumer groups, as the worker uses it.

    Every method raises errors of streams/errors.py only: BrokerUnreachable, Fenced, OutcomeUnknown or Declined.
    """

    def subscribe(self, topics: list[str], listener: Assignment) -> None:
        """Join the group; from now on ``poll`` may call the listener."""

    def poll(self, timeout_s: float, records_max: int) -> list[Fetched]:
        """Wait up to ``timeout_s`` for the first record, then take what is there, ``records_max`` at most."""

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read on from ``offset``: the partitions of a task, once it is recovered."""

    def pause(self, partitions: list[tuple[str, int]]) -> None: ...

    def resume(self, partitions: list[tuple[str, int]]) -> None: ...

    def committed(self, topics: list[str], partition: int) -> dict[str, int | None]:
        """Topic -> the group's next offset, once no transaction that could still change it is open."""

    def begin(self) -> None: ...

    def produce(self, topics: Mapping[str, str], partition: int, outputs: Iterable[Output]) -> None:
        """Write these in the transaction; ``topics`` maps the name of an output to its topic."""

    def send_offsets(self, next_offsets: Mapping[tuple[str, int], int]) -> None: ...

    def commit(self) -> None: ...

    def abort(self) -> None: ...

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        """Committed records with start <= offset < end, in order. Outside of the group."""

    def end_offset(self, topic: str, partition: int) -> int:
        """The log's end, once no transaction is open before it. Waits for open ones to end."""

    def settle(self, topics: list[str], partition: int) -> None:
        """Wait until no transaction is open in these any more that is now, nor in the group's offsets of any partition.

        A commit ends all that its producer's id has left open in the partitions that it writes to, and in the group's
        offsets: also what Kafka forgot to abort.
        """

    def beginning_offset(self, topic: str, partition: int) -> int: ...

    def topic_id(self, topic: str) -> str:
        """The cluster's id of a topic: another one of the same name, made after this one was deleted, has another."""

    def lag(self, topic: str, partition: int, next_offset: int) -> int | None:
        """Offsets from ``next_offset`` to the log's end as last heard from the broker; None if not heard yet."""

    def close(self) -> None: ...


class BlobStore(Protocol):
    """Where checkpoints lie. A blob is written whole or not at all. Every method may raise StoreUnavailable."""

    def put(self, name: str, blob: bytes) -> None: ...

    def get(self, name: str) -> bytes:
        """Raises CheckpointCorrupt when there is no such blob."""

    def names(self) -> Iterable[str]: ...

    def delete(self, name: str) -> None: ...


class Background(Protocol):
    """Does work beside the data path, a piece at a time: an executor of one thread, or a test that says when."""

    def submit(self, work: Callable[[], T], /) -> Future[T]: ...


Freeze = Callable[[Any], Callable[[], bytes]]
"""Takes a state as it is now, between two steps, and gives what waits for its pickle: called once, in the background.

That may raise StoreUnavailable.
"""


class Attempts(Protocol):
    """Remembers which batch a task was stepping over, also when the process dies of it. Bytes mean nothing to it."""

    def load(self, partition: int) -> bytes | None: ...

    def save(self, partition: int, attempt: bytes) -> None: ...

    def clear(self, partition: int) -> None: ...


class Telemetry(Protocol):
    """Counts and spans for operators. Called once a batch, never per record; nothing in the core depends on it."""

    def observe(self, name: str, value: float, **labels: str) -> None: ...

    def observe_all(self, name: str, values: Sequence[float]) -> None:
        """``observe`` each of these."""

    def count(self, name: str, amount: float, **labels: str) -> None: ...

    def gauge(self, name: str, value: float, **labels: str) -> None: ...

    def forget(self, task: str) -> None:
        """The gauges of a task are no longer ours to tell: another worker has it."""

    def span(self, name: str, /, **fields: str | int) -> AbstractContextManager[object]:
        """What happens inside took this long, for a trace."""
        ...
