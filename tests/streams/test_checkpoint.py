"""A checkpoint is unpickled only when name and signature hold."""

from __future__ import annotations

import hashlib
import hmac
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import checkpoint
from streams.checkpoint import BlobName
from streams.errors import CheckpointCorrupt, CheckpointOutdated
from tests.sim.disk import MemoryBlobs

KEY = b"our key"
exploded: list[str] = []


def explode(where: str) -> str:
    exploded.append(where)
    return where


class Bomb:
    """Runs a function of its maker's choice when it is unpickled."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __reduce__(self) -> Any:
        return explode, (self.where,)


@pytest.fixture
def store() -> MemoryBlobs:
    exploded.clear()
    return MemoryBlobs()


def save(store: MemoryBlobs, state: Any, key: bytes = KEY) -> str:
    return checkpoint.write(store, checkpoint.seal(checkpoint.freeze(state), key), task=3, sequence=41)


def named(blob: bytes) -> str:
    """Whoever can write blobs can also name them."""
    return str(BlobName(3, 41, hashlib.sha256(blob).hexdigest()))


def refused(store: MemoryBlobs, name: str, key: bytes = KEY) -> None:
    with pytest.raises(CheckpointCorrupt):
        checkpoint.load(store, name, key)
    assert exploded == [], "nothing was unpickled"


def test_what_was_saved_is_loaded_again(store: MemoryBlobs) -> None:
    name = save(store, {"models": [1, 2.5, "x"]})
    assert checkpoint.load(store, name, KEY) == {"models": [1, 2.5, "x"]}
    assert BlobName.parse(name) == (3, 41, hashlib.sha256(store.blobs[name]).hexdigest())


def test_the_bomb_goes_off_when_it_is_rightly_signed(store: MemoryBlobs) -> None:
    checkpoint.load(store, save(store, Bomb("ours")), KEY)
    assert exploded == ["ours"], "so the other tests would notice"


def test_a_blob_signed_with_another_key_is_refused(store: MemoryBlobs) -> None:
    refused(store, save(store, Bomb("other key"), b"another key"))


def test_a_blob_that_a_stranger_planted_under_its_right_name_is_refused(store: MemoryBlobs) -> None:
    payload = checkpoint.seal(pickle.dumps(Bomb("planted")), b"")[len(checkpoint.MAGIC) + 32 :]
    for signature in (bytes(32), hmac.digest(b"", payload, "sha256"), hashlib.sha256(payload).digest()):
        blob = checkpoint.MAGIC + signature + payload
        store.put(named(blob), blob)
        refused(store, named(blob))
    store.put(named(payload), payload)
    refused(store, named(payload))


def test_a_blob_under_the_name_of_another_is_refused(store: MemoryBlobs) -> None:
    ours, other = save(store, 1), save(store, Bomb("moved"))
    store.blobs[ours] = store.blobs[other]
    refused(store, ours)


@given(st.data())
def test_any_truncation_and_any_flipped_bit_is_refused(data: Any) -> None:
    exploded.clear()
    store = MemoryBlobs()
    name = save(store, Bomb("broken"))
    blob = store.blobs[name]
    at = data.draw(st.integers(0, len(blob) - 1))
    flipped = bytearray(blob)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    for broken in (blob[:at], bytes(flipped), b"", blob + b"\0"):
        store.blobs[name] = broken
        refused(store, name)
        store.blobs[named(broken)] = broken
        refused(store, named(broken))


def test_a_state_of_another_layout_is_not_unpickled_and_says_so(store: MemoryBlobs) -> None:
    sealed = store.blobs[save(store, Bomb("of another version"))].replace(checkpoint.MAGIC, b"riverrun-checkpoint-2\n")
    with pytest.raises(CheckpointOutdated, match=f"layout 2, .* reads layout {checkpoint.LAYOUT}"):
        checkpoint.unseal(sealed, KEY, "here")
    assert exploded == []


def test_a_missing_blob_is_a_corrupt_checkpoint(store: MemoryBlobs) -> None:
    refused(store, named(b"never stored"))
    store.put("notes.txt", b"a stranger's")
    refused(store, "notes.txt")


def test_saving_the_same_state_twice_is_one_blob(store: MemoryBlobs) -> None:
    assert save(store, {"a": 1}) == save(store, {"a": 1})
    assert len(list(store.names())) == 1
