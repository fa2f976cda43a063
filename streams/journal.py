"""The journal: one small record per committed transaction and task, that says what was read and what came out.

Each record holds the digest of the one before it, so a missing, repeated or torn record shows. Some records carry the
task's state as it was after them, or name the checkpoint blob that holds the state as it was after an earlier one:

    sequence     7        8        9       10       11
    state                 │ pickled, being written   ▲
    checkpoint            └──────── blob ──────────▶ "the state after 8 is safe": replay begins at 9
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import msgspec

from streams.batch import Batch, Range
from streams.errors import JournalMismatch
from streams.ports import Output

JOURNAL = "journal"
"""What its topic is called, behind the pipeline's name."""

_packed = msgspec.msgpack.Encoder().encode
_DIGEST_CHARS = 32
"""Of 64: 128 bits."""


class Skip(msgspec.Struct, frozen=True, gc=False):
    """An input record that is not stepped over, because a model failed on it or the process died of it, and why."""

    topic: str
    offset: int
    reason: str
    detail: str


class Saved(msgspec.Struct, frozen=True, gc=False):
    """A checkpoint: the blob's name, and the journal record that its state is the state after."""

    name: str
    sequence: int


class JournalRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one transaction did to one task.

    ``ranges`` maps each input topic to [first, next) offsets and ``topic_ids`` to Kafka's id of it, which another topic
    of the same name does not have. ``previous`` is the digest of the record before this one ("" for the first).
    ``state`` is the task's state after this record, sealed, if it is small; ``checkpoint`` a blob that is safe now.
    """

    sequence: int
    previous: str
    ranges: dict[str, Range]
    records: int
    input_digest: str
    outputs: int
    output_digest: str
    fingerprint: str
    topic_ids: dict[str, str] = {}
    skipped: tuple[Skip, ...] = ()
    checkpoint: Saved | None = None
    state: bytes | None = None

    def encode(self) -> bytes:
        """The record as it lies in the journal topic."""
        return msgspec.json.encode(self)

    def output(self, task: int, now_ms: int) -> Output:
        """The record as it is put out, at the time of its task."""
        return Output(JOURNAL, str(task).encode(), self.encode(), max(now_ms, 0))

    def digest(self) -> str:
        """SHA-256 of the record, in hex: what the next record holds as ``previous``."""
        return hashlib.sha256(self.encode()).hexdigest()


def decode(value: bytes, where: str) -> JournalRecord:
    """A journal record from its bytes. Raises JournalMismatch when they are not one."""
    try:
        return msgspec.json.decode(value, type=JournalRecord)
    except msgspec.MsgspecError as error:
        raise JournalMismatch(
            f"not a journal record: {error}", where=where, remedy="something else writes to the journal topic: stop it"
        ) from error


def input_digest(batch: Batch) -> str:
    """Digest of a batch's records in canonical order: which input, when, key and value.

    >>> from streams.ports import Record
    >>> record = Record(7, 1, None, b"x")
    >>> input_digest(Batch((), [(0, record)])) == input_digest(Batch((), [(1, record)]))
    False
    """
    return _digest(batch.records)


def output_digest(outputs: Iterable[Output]) -> str:
    """Digest of what a step put out, in order."""
    return _digest(list(outputs))


def _digest(records: list[Any]) -> str:
    """Of records made of texts, bytes, numbers and None: MessagePack says of each where it ends and what it is."""
    return hashlib.sha256(_packed(records)).hexdigest()[:_DIGEST_CHARS]


def verify_chain(records: list[JournalRecord], where: str) -> None:
    """Raise JournalMismatch unless each record follows the one before it, without a gap in sequence or offsets."""
    for before, after in pairwise(records):
        if after.sequence != before.sequence + 1 or after.previous != before.digest():
            raise JournalMismatch(
                f"journal record {after.sequence} does not follow record {before.sequence}",
                where=where,
                remedy="two pipelines may share the name, or a transaction was torn: restore the topics from a backup",
            )
        for topic, (first, _) in after.ranges.items():
            if topic in before.ranges and before.ranges[topic][1] != first:
                raise JournalMismatch(
                    f"record {after.sequence} reads {topic} from {first}, not from {before.ranges[topic][1]}",
                    where=where,
                    remedy="restore the topics from a backup",
                )
