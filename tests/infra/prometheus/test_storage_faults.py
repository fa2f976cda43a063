"""Alerts on checkpoints, topics and disks are made to fire by their faults: see test_faults.py."""

from __future__ import annotations

import resource
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka_reader import quiet
from tests.infra.prometheus.faults import kill, orders, until_well
from tests.infra.prometheus.running import Feed, hold_open
from tests.infra.prometheus.scraping import Prometheus, needed

pytestmark = [pytest.mark.broker, needed]


def test_what_is_wrong_with_the_checkpoint_store(broker: str, fresh_name: str, tmp_path: Path) -> None:
    # store    answers │ takes nothing ........................... │ and can't be read ................. │ answers
    # worker                                                       │ killed
    # fires    nothing   CheckpointFails, CheckpointOld, LagGrows    ProcessDown, Rebuilds                nothing
    blobs = tmp_path / fresh_name / "checkpoints"
    with (
        orders(tmp_path, broker, fresh_name, ORDERS_CHECKPOINT_EVERY="400") as up,
        Prometheus(tmp_path) as seen,
        Feed(broker, fresh_name),
    ):
        until_well(seen)
        take_nothing(up.role("worker"))
        seen.until_fires("RiverrunCheckpointFails", "RiverrunCheckpointOld", "RiverrunLagGrows")
        (tmp_path / "aside").mkdir()
        for blob in list(blobs.iterdir()):
            blob.rename(tmp_path / "aside" / blob.name)
            blob.mkdir()  # cannot be read as a file
        kill(seen, up, "worker")
        seen.until_fires("RiverrunProcessDown", "RiverrunRebuilds")
        for blob in (tmp_path / "aside").iterdir():
            (blobs / blob.name).rmdir()
            blob.rename(blobs / blob.name)
        seen.until(lambda: not seen.firing())
        mended = {"CheckpointFails", "CheckpointOld", "LagGrows", "ProcessDown", "Rebuilds"}
        assert seen.fired() == {f"Riverrun{alert}" for alert in mended}


def take_nothing(worker: psutil.Process | None) -> None:
    """What the worker writes from now on, no file takes, as if the disk were full. (Python ignores SIGXFSZ.)"""
    assert worker is not None
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))


def test_what_is_wrong_with_input_topics(broker: str, fresh_name: str, tmp_path: Path) -> None:
    # labels   a transaction is left open ............................... │ aborted
    # store    takes nothing ..............................................................................
    # events                                                              │ deleted before a checkpoint
    # fires    InputBlocked, CheckpointFails, CheckpointOld, LagGrows       ReplayLost
    with (
        orders(tmp_path, broker, fresh_name, ORDERS_CHECKPOINT_EVERY="400") as up,
        Prometheus(tmp_path) as seen,
        Feed(broker, fresh_name),
    ):
        until_well(seen)
        opened = hold_open(broker, f"{fresh_name}-sums")
        take_nothing(up.role("worker"))
        others = {"RiverrunCheckpointFails", "RiverrunCheckpointOld", "RiverrunLagGrows"}
        seen.until_fires("RiverrunInputBlocked", *others)
        opened.abort_transaction(20)
        delete_all(broker, f"{fresh_name}-orders")
        seen.until_fires("RiverrunReplayLost")
        assert seen.fired() == {"RiverrunInputBlocked", "RiverrunReplayLost"} | others


def delete_all(servers: str, topic: str) -> None:
    """What retention does, at once: delete all that can be read."""
    admin, partition = AdminClient({"bootstrap.servers": servers}, logger=quiet), TopicPartition(topic, 0, OFFSET_END)
    admin.delete_records([partition])[partition].result(30)


def may_mount() -> bool:
    """Whether we may mount a small disk that nobody else sees."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not may_mount(), reason="a disk cannot be mounted here: `unshare --user --mount` is not allowed")
def test_what_is_wrong_with_the_disk_of_the_sink(broker: str, fresh_name: str, tmp_path: Path) -> None:
    # disk     8 MB │ nearly full: DiskLow │ full: SinkBlocked │ free again: nothing
    root = tmp_path / fresh_name / "parquet"
    root.mkdir(parents=True)
    mounted = f'mount -t tmpfs -o size=8m none "{root}" && exec "$@"'
    before = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, "sh")
    with (
        orders(tmp_path, broker, fresh_name, before=before) as up,
        Prometheus(tmp_path) as seen,
        Feed(broker, fresh_name),
    ):
        until_well(seen)
        sink = up.role("sink")
        assert sink is not None
        filler = Path(f"/proc/{sink.pid}/root{root}/filler")
        filler.write_bytes(bytes(7_500_000))
        seen.until_fires("RiverrunDiskLow")
        fill(filler)
        seen.until_fires("RiverrunSinkBlocked")
        filler.unlink()
        seen.until(lambda: not seen.firing())
        assert seen.fired() == {"RiverrunDiskLow", "RiverrunSinkBlocked"}


def fill(file: Path) -> None:
    """Write to it until the disk takes no more."""
    with file.open("ab", buffering=0) as stream, suppress(OSError):
        while stream.write(bytes(4_096)):
            pass
