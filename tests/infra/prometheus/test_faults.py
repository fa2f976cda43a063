"""Each alert is made to fire by its fault, on the real processes of `riverrun up`, by a real Prometheus.

The rules are the real ones with their durations shortened (scraping.py).
"""

from __future__ import annotations

import resource
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka_reader import quiet
from tests.infra.prometheus.running import ORDERS, Feed, Up, hold_open
from tests.infra.prometheus.scraping import Prometheus, needed

pytestmark = [pytest.mark.broker, needed]
ALL_UP = {"up": "up", "sink-1": "up", "worker-1": "up", "monitor-1": "up"}


def orders(home: Path, servers: str, name: str, pause_s: float = 0.0, before: tuple[str, ...] = (), **env: str) -> Up:
    """The pipeline under a name of its own."""
    more = {"ORDERS_NAME": name, "ORDERS_PAUSE_S": str(pause_s), **env}
    return Up(ORDERS, home, servers, env=more, before=before)


def until_well(seen: Prometheus, score: str = "pipeline_model_score:riverrun_champion_score:avg") -> None:
    """Wait until all processes are up and the champion has learned. Nothing has fired until then."""
    seen.until(lambda: seen.up() == ALL_UP and seen.query(f"{score}{{score='accuracy'}} > 0.9"))
    assert not seen.fired(), "all is well"


def test_what_is_wrong_with_records_labels_and_models(broker: str, fresh_name: str, tmp_path: Path) -> None:
    # labels   right ............. by chance ............. none
    # fires    nothing             ScoreFell, Drift        NoLabels; with wrong records Rejects, AlertLasts
    with (
        orders(tmp_path, broker, fresh_name),
        Prometheus(tmp_path) as seen,
    ):
        with Feed(broker, fresh_name) as feed:
            until_well(seen, "pipeline_model_score:riverrun_model_sliding_score:avg1d")
            feed.labels = "chance"
            seen.until_fires("RiverrunScoreFell", "RiverrunDrift")
            assert seen.fired() == {"RiverrunScoreFell", "RiverrunDrift"}
            feed.labels, feed.wrong = "none", 10
            seen.until_fires("RiverrunNoLabels", "RiverrunRejects", "RiverrunAlertLasts")
        only = {"ScoreFell", "Drift", "NoLabels", "Rejects", "AlertLasts"}
        assert seen.fired() == {f"Riverrun{name}" for name in only}


def test_what_is_wrong_with_processes(broker: str, fresh_name: str, tmp_path: Path) -> None:
    # feed     more than it can do ......
    # worker   slow ..................... │ killed, killed, killed │ replays all
    # fires    LagGrows                     ProcessDown, ProcessRestarts   RecoveryLong
    name = fresh_name
    with (
        orders(tmp_path, broker, name, pause_s=0.02, ORDERS_CHECKPOINT_EVERY="1000000000") as up,
        Prometheus(tmp_path) as seen,
        Feed(broker, name, events=50) as feed,
    ):
        seen.until(lambda: seen.up() == ALL_UP)
        seen.until_fires("RiverrunLagGrows")
        seen.until(lambda: seen.query("sum(riverrun_predictions_total) > 1000"))  # 20 s to replay
        feed.events = 1
        for _ in range(3):
            kill(seen, up, "worker")
        seen.until_fires("RiverrunProcessDown", "RiverrunProcessRestarts", "RiverrunRecoveryLong")
        only = {"LagGrows", "ProcessDown", "ProcessRestarts", "RecoveryLong"}
        assert seen.fired() == {f"Riverrun{alert}" for alert in only}


def kill(seen: Prometheus, up: Up, role: str) -> None:
    """kill -9, and wait until there is another one."""
    killed = up.role(role)
    assert killed is not None
    killed.send_signal(signal.SIGKILL)
    seen.until(lambda: (process := up.role(role)) is not None and process.pid != killed.pid)


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
