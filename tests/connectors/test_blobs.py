"""The checkpoint store: whole or not at all, on a local disk and on an S3."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.blobs import FolderBlobStore
from streams import checkpoint
from streams.errors import CheckpointCorrupt, StoreUnavailable

KEY = b"our key"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def location(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "folder":
        return str(tmp_path / "checkpoints")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    address = request.getfixturevalue("s3")
    options = f"scheme=http&endpoint_override={address}&allow_bucket_creation=true&region=us-east-1"
    return f"s3://bucket-{tmp_path.name.replace('_', '-').rstrip('0123456789').rstrip('-')}/checkpoints?{options}"


class TestEveryStore:
    """What holds of both."""

    def test_what_was_put_is_got_named_and_deleted(self, location: str) -> None:
        store = FolderBlobStore.at(location)
        store.put("one", b"1")
        store.put("two", b"2" * 6_000_000)
        assert store.get("two") == b"2" * 6_000_000
        assert set(store.names()) == {"one", "two"}
        store.delete("one")
        store.delete("never there")
        assert list(FolderBlobStore.at(location).names()) == ["two"]

    def test_a_blob_that_is_missing_is_a_corrupt_checkpoint(self, location: str) -> None:
        with pytest.raises(CheckpointCorrupt, match="missing"):
            FolderBlobStore.at(location).get("0" * 64)

    def test_a_state_goes_through_it_and_a_broken_one_is_replaced(self, location: str) -> None:
        store = FolderBlobStore.at(location)
        sealed = checkpoint.seal(checkpoint.freeze({"w": 1.5}), KEY)
        name = checkpoint.write(store, sealed, task=3, sequence=7)
        assert checkpoint.load(store, name, KEY) == {"w": 1.5}
        store.put(name, sealed[:-3])
        with pytest.raises(CheckpointCorrupt, match="not what its name says"):
            checkpoint.load(store, name, KEY)
        checkpoint.write(store, sealed, task=3, sequence=7)
        assert checkpoint.load(store, name, KEY) == {"w": 1.5}


class TestAFolder:
    """What a local disk can do to a blob."""

    @pytest.mark.parametrize("dies_in", ["write", "fsync", "replace"])
    def test_a_write_that_does_not_end_leaves_no_blob_and_its_rest_can_be_deleted(
        self, dies_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Killed(BaseException):
            pass

        def dies(*_: Any) -> None:
            raise Killed

        store = FolderBlobStore.at(tmp_path)
        with monkeypatch.context() as patch:
            if dies_in == "write":
                real = open
                patch.setattr("builtins.open", lambda *a, **k: _Torn(real(*a, **k)) if a[1:] == ("wb",) else real(*a))
            else:
                patch.setattr(os, dies_in, dies)
            with pytest.raises((Killed, _Torn.Died)):
                store.put("blob", b"0123456789")
        with pytest.raises(CheckpointCorrupt):
            store.get("blob")
        assert list(store.names()) == ["blob"], "so that the next recovery finds it"
        store.delete("blob")
        assert list(tmp_path.iterdir()) == []

    def test_two_write_the_same_blob_at_a_time(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store, real = FolderBlobStore.at(tmp_path), os.fsync

        def other_writes_it_now(descriptor: int) -> None:
            real(descriptor)
            monkeypatch.setattr(os, "fsync", real)
            FolderBlobStore.at(tmp_path).put("0000-blob", b"state")
            assert store.get("0000-blob") == b"state"

        monkeypatch.setattr(os, "fsync", other_writes_it_now)
        store.put("0000-blob", b"state")
        assert store.get("0000-blob") == b"state"
        assert list(tmp_path.iterdir()) == [tmp_path / "0000-blob"]

    def test_a_blob_that_is_deleted_while_it_is_written_is_to_be_written_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, real = FolderBlobStore.at(tmp_path), os.fsync

        def other_deletes_it_now(descriptor: int) -> None:
            real(descriptor)
            store.delete("0000-blob")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", other_deletes_it_now)
            with pytest.raises(StoreUnavailable):
                store.put("0000-blob", b"state")
        store.put("0000-blob", b"state")
        assert store.get("0000-blob") == b"state"

    def test_a_full_disk_says_what_to_do(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        store = FolderBlobStore.at(tmp_path)
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StoreUnavailable, match="No space left on device") as caught:
            store.put("blob", b"state")
        assert caught.value.retriable
        assert "free disk space" in caught.value.remedy

    def test_a_blob_that_cannot_be_read_now_is_no_corrupt_one(self, tmp_path: Path) -> None:
        store = FolderBlobStore.at(tmp_path)
        (tmp_path / "blob").mkdir()
        with pytest.raises(StoreUnavailable):
            store.get("blob")

    def test_a_store_out_of_reach_is_to_be_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        with pytest.raises(StoreUnavailable, match="does not answer"):
            FolderBlobStore.at("s3://bucket/folder?scheme=http&endpoint_override=127.0.0.1:1&region=us-east-1")


class _Torn:
    """A file of which the first half reaches the disk, and then the process dies."""

    class Died(BaseException):
        pass

    def __init__(self, file: Any) -> None:
        self._file = file

    def __enter__(self) -> _Torn:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, blob: bytes) -> None:
        self._file.write(blob[: len(blob) // 2])
        self._file.flush()
        raise self.Died
