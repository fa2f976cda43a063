"""The embedded broker and its process: starts, restarts, stops, and never outlives its parent."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from infra import broker as broker_module
from infra import process
from infra.broker import EmbeddedBroker, embedded_broker
from infra.kafka_install import install_folder, verify_jars
from streams.errors import Declined


@pytest.mark.broker
def test_a_restart_keeps_topics_and_port_and_a_second_start_says_so(tmp_path: Path):
    with embedded_broker(tmp_path, port=0) as first:
        admin = AdminClient({"bootstrap.servers": first})
        admin.create_topics([NewTopic("kept", 3)])["kept"].result()
        with pytest.raises(Declined, match=f"runs on this folder already, at {first}"):
            EmbeddedBroker(tmp_path).start()
    assert EmbeddedBroker(tmp_path).running() is None
    with embedded_broker(tmp_path) as second:
        topics = AdminClient({"bootstrap.servers": second}).list_topics(timeout=10).topics
        assert second == first
        assert len(topics["kept"].partitions) == 3


@pytest.mark.broker
def test_a_new_broker_is_ready_for_groups_when_it_has_started(tmp_path: Path):
    # librdkafka comes again after 3 s when it is sent away from a group whose topic is just being made
    with embedded_broker(tmp_path, port=0) as bootstrap_servers:
        assert (
            "__consumer_offsets" in AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=10).topics
        )


@pytest.mark.broker
def test_an_answer_about_groups_that_does_not_come_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked, serves_groups = [], broker_module._serves_groups

    def lost_at_first(admin: AdminClient) -> bool:
        asked.append(admin)
        if len(asked) == 1:
            raise TimeoutError
        return serves_groups(admin)

    monkeypatch.setattr(broker_module, "_serves_groups", lost_at_first)
    with embedded_broker(tmp_path, port=0):
        assert len(asked) > 1


@pytest.mark.broker
def test_a_taken_port_is_declined_when_asked_for_and_another_chosen_when_not(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        taken = squatter.getsockname()[1]
        with pytest.raises(Declined, match=f"port {taken} is taken"):
            EmbeddedBroker(tmp_path, port=taken).start()
        (tmp_path / "broker.json").write_text(json.dumps({"pid": 0, "created_s": 0.0, "port": taken, "folder": ""}))
        broker = EmbeddedBroker(tmp_path)
        state = broker.start(detached=True)
        assert state.port != taken
        assert broker.running() == state
        assert broker.stop()
        assert not broker.stop()


@pytest.mark.broker
def test_a_broker_that_ends_while_starting_shows_the_end_of_its_log(tmp_path: Path):
    broker = EmbeddedBroker(tmp_path, port=0)
    broker.start()
    broker.stop()
    (broker.folder / "data" / "bootstrap.checkpoint").write_bytes(b"torn")
    shutil.rmtree(broker.folder / "data" / "__cluster_metadata-0")
    with pytest.raises(Declined, match=r"ended with status 1 while starting; its log ends:\n(?s:.)*bootstrap"):
        broker.start()
    assert broker.running() is None


@pytest.mark.broker
def test_a_broker_that_was_killed_comes_back_on_its_port(tmp_path: Path):
    broker = EmbeddedBroker(tmp_path, port=0)
    killed = broker.start()
    os.kill(killed.pid, signal.SIGKILL)
    assert ends(psutil.Process(killed.pid))
    with embedded_broker(tmp_path) as back:
        assert back == killed.bootstrap_servers


PARENT = """
import sys, time
from pathlib import Path
from infra.broker import EmbeddedBroker
print(EmbeddedBroker(Path(sys.argv[1]), port=0).start().pid, flush=True)
time.sleep(600)
"""


@pytest.mark.broker
def test_the_broker_dies_with_a_parent_that_is_killed(tmp_path: Path):
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        broker = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    assert ends(broker)
    assert EmbeddedBroker(tmp_path).running() is None


@retry(stop=stop_after_delay(20), wait=wait_fixed(0.05), retry=retry_if_result(lambda ended: not ended))
def ends(running: psutil.Process) -> bool:
    # In a container without an init the orphan may stay a zombie: it has ended all the same.
    return not running.is_running() or running.status() == psutil.STATUS_ZOMBIE


def test_a_recycled_process_id_is_not_ours():
    created_s = process.create_time_s(os.getpid())
    assert process.find(os.getpid(), created_s)
    assert process.find(os.getpid(), created_s - 60) is None


def test_a_child_that_ignores_sigterm_is_killed():
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process.stop(child, grace_s=0.2)
        assert child.returncode == -signal.SIGKILL


def test_an_unknown_program_is_declined():
    with pytest.raises(Declined, match="no program no-such-program"):
        process.spawn(["no-such-program"], name="nothing")


@pytest.mark.broker
@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (lambda jars: (jars / "extra-1.0.jar").write_bytes(b""), "extra-1.0.jar is not a file of Kafka"),
        (lambda jars: (jars / "lz4-java-1.10.2.jar").unlink(), "lz4-java-1.10.2.jar of Kafka .* is missing"),
        (lambda jars: (jars / "lz4-java-1.10.2.jar").write_bytes(b"other"), "lz4-java-1.10.2.jar has a wrong checksum"),
    ],
)
def test_jars_other_than_the_pinned_ones_are_refused(broker: str, tmp_path: Path, harm, complaint):
    jars = tmp_path / "jars"
    shutil.copytree(install_folder() / "jars", jars)
    verify_jars(jars)
    harm(jars)
    with pytest.raises(Declined, match=complaint):
        verify_jars(jars)
