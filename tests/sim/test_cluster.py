"""What the cluster and the disk in memory do of themselves: what cannot be asked of a real broker in a second."""

from __future__ import annotations

import pytest

from streams.errors import CheckpointCorrupt, Fenced
from tests.contracts.log_contract import Listener, joined, produce, values
from tests.sim.cluster import SESSION_TIMEOUT_S, TRANSACTION_TIMEOUT_S, Cluster
from tests.sim.disk import MemoryBlobs, TornWrite
from tests.sim.memory_log import MemoryLog


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.create("topic", 1)
    return cluster


def member(cluster: Cluster, name: str) -> tuple[MemoryLog, Listener]:
    log = MemoryLog(cluster, name)
    return log, joined(log, "topic")


def stopped_for(log: MemoryLog, seconds: float) -> None:
    """SIGSTOP, and SIGCONT after so long."""
    log.heartbeats_stopped = True
    log.cluster.pass_time(seconds)
    log.heartbeats_stopped = False


def test_a_worker_that_was_stopped_for_too_long_loses_its_tasks_and_comes_back(cluster: Cluster) -> None:
    log, listener = member(cluster, "a")
    stopped_for(log, SESSION_TIMEOUT_S - 1)
    log.poll(0.0, 10)
    assert listener.events == ["assigned [0]"]
    log.heard_s = cluster.now_s
    stopped_for(log, SESSION_TIMEOUT_S + 1)
    log.poll(0.0, 10)
    assert listener.events == ["assigned [0]", "lost [0]", "assigned [0]"]


def test_a_worker_that_works_for_long_is_heard_of_and_keeps_its_tasks(cluster: Cluster) -> None:
    log, listener = member(cluster, "a")
    cluster.pass_time(SESSION_TIMEOUT_S * 5)
    log.poll(0.0, 10)
    assert listener.events == ["assigned [0]"]


def test_a_worker_that_the_group_went_on_without_cannot_send_offsets(cluster: Cluster) -> None:
    log, _ = member(cluster, "a")
    log.begin()
    stopped_for(log, SESSION_TIMEOUT_S + 1)
    with pytest.raises(Fenced):
        log.send_offsets({("topic", 0): 1})


def test_offsets_that_were_sent_before_may_still_be_committed_and_a_successor_waits_for_that(cluster: Cluster) -> None:
    # a   offsets  │ put out of the group │ commit
    # b            │ asks for the offsets .......... 1
    log, _ = member(cluster, "a")
    log.begin()
    log.send_offsets({("topic", 0): 1})
    stopped_for(log, SESSION_TIMEOUT_S + 1)
    cluster.while_waiting = log.commit
    assert MemoryLog(cluster, "b").committed(["topic"], 0) == {"topic": 1}


def test_a_late_commit_counts_until_the_id_has_another_owner(cluster: Cluster) -> None:
    for taken_over in (False, True):
        log, _ = member(cluster, "a")
        log.begin()
        produce(log, "topic", 0, None, b"after" if taken_over else b"before", 1)
        if taken_over:
            member(cluster, "a")
        cluster.arrive("a", log.epoch)
    assert values(MemoryLog(cluster, "b").read("topic", 0, 0, cluster.stable("topic", 0))) == ["before"]
    assert cluster.seen == {"late commit taken": 1, "late commit refused": 1}


def test_a_dead_workers_transaction_holds_readers_up_until_its_timeout(cluster: Cluster) -> None:
    log, _ = member(cluster, "a")
    log.begin()
    produce(log, "topic", 0, None, b"never", 1)
    log.die()
    reader = MemoryLog(cluster, "b")
    assert cluster.stable("topic", 0) == 0
    assert reader.end_offset("topic", 0) == 2
    assert cluster.now_s >= TRANSACTION_TIMEOUT_S


def test_a_torn_write_leaves_a_part_under_the_blobs_name() -> None:
    blobs = MemoryBlobs()

    def power_fails(operation: str) -> None:
        if operation == "before put":
            raise TornWrite(0.5)

    blobs.on = power_fails
    with pytest.raises(TornWrite):
        blobs.put("name", b"12345678")
    assert blobs.get("name") == b"1234"
    assert blobs.broken == {"name"}


def test_a_blob_that_is_missed_though_nobody_took_it_is_remembered() -> None:
    blobs = MemoryBlobs()
    with pytest.raises(CheckpointCorrupt):
        blobs.get("name")
    assert blobs.missed == {"name"}
