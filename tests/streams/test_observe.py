"""What is watched of the inputs, beside the data path."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.errors import Declined
from tests.sim.background import Background
from tests.sim.world import World
from tests.streams import kit
from tests.streams.pipelines import trips


def world() -> World:
    made = World(trips.pipeline)
    made.put(kit.history(1, 20, gaps=False))
    return made


def test_a_transaction_left_open_in_an_input_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    # starts   a b c │ open: d │ e f     nothing behind the open transaction can be read
    made = world()
    worker = made.run()
    hanging = made.cluster.start()
    made.cluster.append("starts", 0, kit.start(0, 0, "hangs"), hanging)
    made.cluster.put("starts", 0, kit.start(0, 0, "behind it"))
    for _ in range(30):
        made.turn(worker)
        made.now_s += 10
    assert made.telemetry.gauges["input_blocked_seconds", "starts"] > 60
    (told,) = [record for record in caplog.records if "left a transaction open" in record.getMessage()]
    assert told.getMessage().startswith("starts[0] cannot be read past offset")
    assert told.__dict__.items() >= {"task": 0, "topic": "starts", "partition": 0}.items()
    assert f"offset {told.__dict__['offset']}:" in told.getMessage()
    made.cluster.end(hanging, commit=True)
    made.until_done(worker)
    for _ in range(3):
        made.turn(worker)
        made.now_s += 10
    assert made.telemetry.gauges["input_blocked_seconds", "starts"] == 0
    assert len(made.outputs()["features"]) > 20


def test_a_partition_that_was_added_stops_the_worker() -> None:
    made = world()
    for topic in made.pipeline.topics:
        made.cluster.topics[topic].append([])
    with pytest.raises(Declined, match="partition 1 was added: the pipeline declares 1"):
        made.run()


def test_a_topic_that_was_deleted_and_made_anew_stops_it() -> None:
    made = world()
    made.run()._log.close()
    made.cluster.ids["ends"] = "another"
    worker = made.worker("b")
    with pytest.raises(Declined, match="topic ends was deleted and made anew"):
        made.turn(worker)


def test_how_far_the_logs_beginning_is_from_the_replays_start_is_told() -> None:
    made = World(replace(trips.pipeline, checkpoint_every=30))
    made.put(kit.history(1, 60, gaps=False))
    worker = made.run()
    made.now_s += 20
    made.turn(worker)
    assert made.telemetry.gauges["replay_margin_records", "starts"] == worker.runs[0].checkpoints.positions[2] > 0


def test_an_input_that_is_not_read_on_as_the_task_waits_is_not_blocked_by_a_transaction() -> None:
    made = World(replace(trips.pipeline, batch_max=2, checkpoint_every=4))
    made.background = Background()  # nothing is ever done
    worker = made.worker()
    for trip in range(60):
        made.cluster.put("starts", 0, kit.start(trip, 0, f"trip {trip}"))
        made.turn(worker)
        made.now_s += 10
    run = worker.runs[0]
    assert run.checkpoints.full
    assert run.paused
    at = [run.topics[index] for index in run.paused]
    assert {made.telemetry.gauges["input_blocked_seconds", topic] for topic in at} == {0}


def test_a_task_that_goes_to_another_worker_is_told_of_no_more() -> None:
    made = World(replace(trips.pipeline, partitions=2))
    first = made.worker("a")
    made.turn(first)
    second = made.worker("b")
    for worker in (first, second, first, second):
        made.turn(worker)
    assert made.telemetry.forgotten == ["0", "1"]
    assert [sorted(worker.runs) for worker in (first, second)] == [[0], [1]]
