"""A task's whole state as signed bytes, verified before they are unpickled. The one place that unpickles.

state ──pickle──▶ bytes ──compress, sign──▶ sealed: MAGIC, HMAC-SHA256, length, zstd
                                               ├── small: rides in the journal record
                                               └── else:  a blob {task}-{sequence}-{SHA-256 of the blob}
"""

from __future__ import annotations

import hashlib
import hmac
import pickle
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from streams.errors import CheckpointCorrupt, CheckpointOutdated
from streams.ports import BlobStore

LAYOUT = 5
"""Which layout of a task's state this is. One more when a state of before can no longer be restored."""

PROTOCOL = 5
"""Of pickling."""

MAGIC = b"riverrun-checkpoint-%d\n" % LAYOUT
_SIGNATURE_BYTES = 32
_LENGTH_BYTES = 8
_MAGIC_OF_ANY = re.compile(rb"riverrun-checkpoint-(\d+)\n")
_NAME = re.compile(r"(\d{4,})-(\d{12})-([0-9a-f]{64})")


class BlobName(NamedTuple):
    """What a blob's name says: whose state, after which journal record, and the digest of its contents."""

    task: int
    sequence: int
    digest: str

    def __str__(self) -> str:
        return f"{self.task:04d}-{self.sequence:012d}-{self.digest}"

    @classmethod
    def parse(cls, name: str) -> BlobName | None:
        """The parts of a name; None for one that is not ours.

        >>> BlobName.parse(str(BlobName(3, 41, "ab" * 32))).sequence, BlobName.parse("notes.txt")
        (41, None)
        """
        match = _NAME.fullmatch(name)
        return cls(int(match[1]), int(match[2]), match[3]) if match else None


def superseded(names: Iterable[str], task: int, kept: Sequence[str]) -> list[str]:
    """The blobs of a task that are older than the newest of ``kept`` (the last one) and not among them.

    They are what those replaced, and orphans: written, and then the process died before the journal named them. A newer
    one may be being written, or be a successor's, if we were stopped for so long that there is one.

    >>> old, newest, later = (str(BlobName(3, sequence, "ab" * 32)) for sequence in (1, 2, 3))
    >>> superseded([old, newest, later, "notes.txt"], 3, [newest]) == [old]
    True
    """
    newest = BlobName.parse(kept[-1]) if kept else None
    if newest is None:
        return []
    parsed = [(name, BlobName.parse(name)) for name in names if name not in kept]
    return [name for name, it in parsed if it and it.task == task and it.sequence < newest.sequence]


def freeze(state: Any) -> bytes:
    """Pickle a state."""
    return pickle.dumps(state, protocol=PROTOCOL)


def freeze_here(state: Any) -> Callable[[], bytes]:
    """Pickle a state before the next step: the simplest ``Freeze`` (streams/ports.py)."""
    frozen = freeze(state)
    return lambda: frozen


def thaw(frozen: Any) -> Any:
    """The state that ``freeze`` pickled: in this process, or signed by us and checked."""
    return pickle.loads(frozen)  # noqa: S301 - see above


def seal(frozen: bytes, key: bytes) -> bytes:
    """Compress and sign what ``freeze`` gave."""
    payload: bytes = len(frozen).to_bytes(_LENGTH_BYTES, "big") + pa.compress(frozen, codec="zstd", asbytes=True)
    return MAGIC + hmac.digest(key, payload, "sha256") + payload


def unseal(sealed: bytes, key: bytes, where: str) -> Any:
    """The state.

    Raises CheckpointCorrupt, before anything is unpickled, unless it is whole and signed with our key;
    CheckpointOutdated when it has another layout.
    """
    remedy = "the checkpoint before it is used; look at the disk, and at RIVERRUN_SIGNING_KEY"
    if not sealed.startswith(MAGIC):
        other = _MAGIC_OF_ANY.match(sealed)
        if other:
            raise CheckpointOutdated(
                f"it has layout {int(other[1])}, and this version of riverrun reads layout {LAYOUT}",
                where=where,
                remedy="run the version that wrote it, or start the pipeline anew under another name",
            )
        raise CheckpointCorrupt("it does not begin as a checkpoint does", where=where, remedy=remedy)
    body = memoryview(sealed)[len(MAGIC) :]
    signature, payload = bytes(body[:_SIGNATURE_BYTES]), body[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, hmac.digest(key, payload, "sha256")):
        raise CheckpointCorrupt("it is not signed with our key", where=where, remedy=remedy)
    size = int.from_bytes(payload[:_LENGTH_BYTES], "big")
    return thaw(pa.decompress(pa.py_buffer(payload[_LENGTH_BYTES:]), size, codec="zstd"))


def write(store: BlobStore, sealed: bytes, task: int, sequence: int) -> str:
    """Store a sealed state as a blob; its name."""
    name = str(BlobName(task, sequence, hashlib.sha256(sealed).hexdigest()))
    store.put(name, sealed)
    return name


def load(store: BlobStore, name: str, key: bytes) -> Any:
    """The state in a blob. Raises CheckpointCorrupt, before anything is unpickled, unless name and signature hold."""
    blob, parsed = store.get(name), BlobName.parse(name)
    if parsed is None or hashlib.sha256(blob).hexdigest() != parsed.digest:
        raise CheckpointCorrupt(
            "the blob is not what its name says",
            where=name,
            remedy="the checkpoint before it is used; look at the disk",
        )
    return unseal(blob, key, name)
