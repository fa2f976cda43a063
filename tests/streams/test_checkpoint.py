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
from streams.errors import CheckpointCorrupt
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


def refused(store: MemoryBlobs, name: str, key: bytes = KEY) -> None:
    with pytest.raises(CheckpointCorrupt):
        checkpoint.load(store, name, key)
    assert exploded == [], "nothing was unpickled"


def test_what_was_saved_is_loaded_again(store: MemoryBlobs) -> None:
    name = checkpoint.save(store, {"models": [1, 2.5, "x"]}, KEY)
    assert checkpoint.load(store, name, KEY) == {"models": [1, 2.5, "x"]}
    assert name == hashlib.sha256(store.blobs[name]).hexdigest()


def test_the_bomb_goes_off_when_it_is_rightly_signed(store: MemoryBlobs) -> None:
    checkpoint.load(store, checkpoint.save(store, Bomb("ours"), KEY), KEY)
    assert exploded == ["ours"], "so the other tests would notice"


def test_a_blob_signed_with_another_key_is_refused(store: MemoryBlobs) -> None:
    refused(store, checkpoint.save(store, Bomb("other key"), b"another key"))


def test_a_blob_that_a_stranger_planted_under_its_right_name_is_refused(store: MemoryBlobs) -> None:
    payload = pickle.dumps(Bomb("planted"))
    for signature in (bytes(32), hmac.digest(b"", payload, "sha256"), hashlib.sha256(payload).digest()):
        blob = checkpoint.MAGIC + signature + payload
        name = hashlib.sha256(blob).hexdigest()
        store.put(name, blob)
        refused(store, name)
    bare = hashlib.sha256(payload).hexdigest()
    store.put(bare, payload)
    refused(store, bare)


def test_a_blob_under_the_name_of_another_is_refused(store: MemoryBlobs) -> None:
    ours, other = checkpoint.save(store, 1, KEY), checkpoint.save(store, Bomb("moved"), KEY)
    store.blobs[ours] = store.blobs[other]
    refused(store, ours)


@given(st.data())
def test_any_truncation_and_any_flipped_bit_is_refused(data: Any) -> None:
    exploded.clear()
    store = MemoryBlobs()
    name = checkpoint.save(store, Bomb("broken"), KEY)
    blob = store.blobs[name]
    at = data.draw(st.integers(0, len(blob) - 1))
    flipped = bytearray(blob)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    for broken in (blob[:at], bytes(flipped), b"", blob + b"\0"):
        store.blobs[name] = broken
        refused(store, name)
        renamed = hashlib.sha256(broken).hexdigest()  # whoever can write blobs can also name them
        store.blobs[renamed] = broken
        refused(store, renamed)


def test_a_missing_blob_is_a_corrupt_checkpoint(store: MemoryBlobs) -> None:
    refused(store, "0" * 64)


def test_saving_the_same_state_twice_is_one_blob(store: MemoryBlobs) -> None:
    assert checkpoint.save(store, {"a": 1}, KEY) == checkpoint.save(store, {"a": 1}, KEY)
    assert len(list(store.names())) == 1
