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
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from infra.broker import EmbeddedBroker
from tests.infra.prometheus.running import ORDERS, Feed, Up, hold_open
from tests.infra.prometheus.scraping import Prometheus, needed

pytestmark = [pytest.mark.broker, needed]
ALL_UP = {"up": "up", "sink-1": "up", "worker-1": "up", "monitor-1": "up"}


def orders(home: Path, servers: str, name: str, pause_s: float = 0.0, before: tuple[str, ...] = (), **env: str) -> Up:
    """The pipeline under a name of its own."""
    more = {"ORDERS_NAME": name, "ORDERS_PAUSE_S": str(pause_s), **env}
    return Up(ORDERS, home, servers, env=more, before=before)


def test_what_is_wrong_with_records_labels_and_models(broker: str, fresh_name: str, tmp_path: Path) -> None:
    # labels   right ............. by chance ............. none
    # fires    nothing             ScoreFell, Drift        NoLabels; with wrong records Rejects, AlertLasts
    with (
        orders(tmp_path, broker, fresh_name),
        Prometheus(tmp_path) as seen,
    ):
        seen.until(lambda: seen.up() == ALL_UP)
        with Feed(broker, fresh_name) as feed:
            seen.until(lambda: seen.query('pipeline_model_score:riverrun_model_sliding_score:avg1d{score="accuracy"}'))
            assert not seen.fired(), "all is well"
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
        feed.events = 1
        for _ in range(3):
            kill(seen, up, "worker")
        seen.until_fires("RiverrunProcessDown", "RiverrunProcessRestarts", "RiverrunRecoveryLong")
        only = {"LagGrows", "ProcessDown", "ProcessRestarts", "RecoveryLong"}
        assert seen.fired() == {f"Riverrun{alert}" for alert in only}


def kill(seen: Prometheus, up: Up, role: str) -> None:
    """kill -9, as soon as there is one, and wait until there is another."""
    found: list[psutil.Process] = []
    seen.until(lambda: found.append(process) if (process := up.role(role)) else None or found)
    found[0].send_signal(signal.SIGKILL)
    seen.until(lambda: (process := up.role(role)) is not None and process.pid != found[0].pid)


def test_what_is_wrong_with_checkpoints_and_topics(broker: str, fresh_name: str, tmp_path: Path) -> None:
    # store    takes nothing larger than 1,000 bytes .......................................
    # fires    CheckpointFails, CheckpointOld │ records deleted: ReplayLost │ transaction left open: InputBlocked
    name = fresh_name
    with (
        orders(tmp_path, broker, name, ORDERS_CHECKPOINT_EVERY="400") as up,
        Prometheus(tmp_path) as seen,
        Feed(broker, name),
    ):
        seen.until(lambda: seen.up() == ALL_UP)
        seen.until(lambda: seen.query("riverrun_checkpoint_seconds_count > 1"))
        worker = up.role("worker")
        assert worker is not None
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))  # Python ignores SIGXFSZ
        opened = hold_open(broker, f"{name}-sums")
        seen.until_fires("RiverrunCheckpointFails", "RiverrunCheckpointOld", "RiverrunInputBlocked")
        topic = TopicPartition(f"{name}-orders", 0)
        opened.abort_transaction(20)
        topic.offset = -1  # all that can be read
        AdminClient({"bootstrap.servers": broker}).delete_records([topic])[topic].result()
        seen.until_fires("RiverrunReplayLost")
        only = {"CheckpointFails", "CheckpointOld", "InputBlocked", "ReplayLost"}
        assert seen.fired() == {f"Riverrun{alert}" for alert in only}


def may_mount() -> bool:
    """Whether we may mount a small disk that nobody else sees."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not may_mount(), reason="a disk cannot be mounted here: `unshare --user --mount` is not allowed")
def test_what_is_wrong_with_disk_and_broker(fresh_name: str, tmp_path: Path) -> None:
    # disk     8 MB │ nearly full: DiskLow │ full: SinkBlocked │ free again
    # broker                                                     stopped: Rebuilds
    name, root = fresh_name, tmp_path / fresh_name / "parquet"
    root.mkdir(parents=True)
    mounted = f'mount -t tmpfs -o size=8m none "{root}" && exec "$@"'
    before = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, "sh")
    broker = EmbeddedBroker(tmp_path / "broker", port=0)
    servers = broker.start().bootstrap_servers
    try:
        with orders(tmp_path, servers, name, before=before) as up, Prometheus(tmp_path) as seen:
            with Feed(servers, name):
                seen.until(lambda: seen.up() == ALL_UP and seen.query("sum(riverrun_sink_rows_total) > 100"))
                sink = up.role("sink")
                assert sink is not None
                filler = Path(f"/proc/{sink.pid}/root{root}/filler")
                filler.write_bytes(bytes(7_500_000))
                seen.until_fires("RiverrunDiskLow")
                fill(filler)
                seen.until_fires("RiverrunSinkBlocked")
                filler.unlink()
                seen.until(lambda: not seen.firing())
            broker.stop()
            seen.until_fires("RiverrunRebuilds")
            assert seen.fired() == {"RiverrunDiskLow", "RiverrunSinkBlocked", "RiverrunRebuilds"}
    finally:
        broker.stop()


def fill(file: Path) -> None:
    """Write to it until the disk takes no more."""
    with file.open("ab", buffering=0) as stream, suppress(OSError):
        while stream.write(bytes(4_096)):
            pass
