"""Versions of models: kept by time and before what cannot be undone, gone back to, let go of when no replay can ask."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from models import Learner
from streams import checkpoint
from streams.errors import CheckpointCorrupt, StoreUnavailable, VersionUnavailable
from streams.shelf import Shelf
from streams.store import Store
from streams.task import Task
from streams.versions import VersionName, Versions, loader
from tests.sim.disk import MemoryBlobs
from tests.sim.world import KEY, AtOnce, World
from tests.streams import kit
from tests.streams.kit import read, start
from tests.streams.pipelines import trips
from tests.streams.test_control import CONTROL, decide, decision, duel, lived


def asked(task: Task, place: int) -> dict[str, float | None]:
    """What each model says of the same event."""
    (row,) = read(kit.step(task, *kit.events(start(place, 10_000_000, f"probe {place}"))).outputs, "predictions")
    return {each.model: each.probability for each in (row, *row.shadows)}


def twin(task: Task) -> Task:
    """The same task, by way of its pickled state."""
    return task.successor(pickle.loads(pickle.dumps(task.state())))


def test_a_model_that_went_back_says_what_it_said_then_and_goes_on_from_there() -> None:
    task = duel()
    lived(task)
    assert decide(task, decision("save", id="1", version="good")) == [(True, "")]
    then = twin(task)
    lived(task, 20)
    assert asked(twin(task), 50)["logistic"] != asked(twin(then), 50)["logistic"]
    assert decide(task, decision("rollback", "logistic", id="2", version="good")) == [(True, "")]
    assert asked(twin(task), 50)["logistic"] == asked(twin(then), 50)["logistic"]
    for each in (task, then):
        lived(each, 60, 5)
    assert asked(task, 51)["logistic"] == asked(then, 51)["logistic"]
    assert task._panel.models[1].generation == 0, "the other one did not go back"


def test_going_back_shows_in_the_version_and_scores_and_labels_begin_anew() -> None:
    task = duel()
    lived(task)
    decide(task, decision("save", id="1", version="good"))
    kit.step(task, *kit.events(start(50, 50_000, "before")))
    decide(task, decision("rollback", "logistic", id="2", version="good"))
    kit.step(task, *kit.labels(kit.end(50, 50_500, "before", minutes=1.0)))
    assert task._panel.scores[0].open.n == 0, "what was said before was said by another"
    (row,) = read(lived(task, 60, 1), "predictions")
    assert row.version.endswith(".1")


def test_going_back_can_be_undone_and_so_can_a_reset() -> None:
    task = duel()
    lived(task)
    decide(task, decision("save", id="1", version="good"))
    lived(task, 20)
    before = asked(twin(task), 50)["tree"]
    decide(task, decision("rollback", "tree", id="2", version="good"), decision("reset", "tree", id="3"))
    answers = decide(task, decision("rollback", "tree", id="4", version="before 2"))
    assert answers == [(True, "")]
    assert asked(task, 50)["tree"] == before


def test_all_models_are_kept_when_the_time_has_come_and_the_oldest_go() -> None:
    task = duel(version_every=timedelta(seconds=60), versions_max=2)
    outputs = [o for minute in range(4) for o in lived(task, 60 * minute, 60)]
    rows = [row for row in read(outputs, "versions") if row.model == "tree"]
    assert [(row.label, row.kept) for row in rows] == [
        ("1970-01-01T00:17:00Z", True),
        ("1970-01-01T00:18:00Z", True),
        ("1970-01-01T00:19:00Z", True),
        ("1970-01-01T00:17:00Z", False),
        ("1970-01-01T00:20:00Z", True),
        ("1970-01-01T00:18:00Z", False),
    ][: len(rows)]
    assert len(rows) >= 5
    assert rows[0].scores.n > 0
    assert len(task.versions.labels("tree")) == 2


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (decision("save"), "it says no version to save them as"),
        (decision("save", version="good"), "there is a version 'good' of logistic, tree, yardstick"),
        (decision("rollback", "tree"), "there is no version None of tree, only good"),
        (decision("rollback", "tree", version="bad"), "there is no version 'bad' of tree, only good"),
        (decision("rollback", "nobody", version="good"), "there is no model 'nobody', only logistic, tree, yardstick"),
    ],
)
def test_what_makes_no_sense_is_refused(record: Any, reason: str) -> None:
    task = duel()
    lived(task)
    decide(task, decision("save", id="0", version="good"))
    before = pickle.dumps(task._panel.state())
    assert decide(task, record) == [(False, reason)]
    assert pickle.dumps(task._panel.state()) == before


def test_a_version_of_another_declaration_is_refused() -> None:
    task = duel()
    lived(task)
    decide(task, decision("save", id="1", version="good"))
    tree = task.pipeline.challengers[0]
    other = Learner("tree", type(tree.model)(grace_period=7))
    deployed = Task(replace(task.pipeline, challengers=[other]), 0)
    deployed.restore(pickle.loads(pickle.dumps(task.state())))
    ((obeyed, reason),) = decide(deployed, decision("rollback", "tree", id="2", version="good"))
    assert not obeyed
    assert "another declaration" in reason


def test_a_version_whose_bytes_are_lost_fails_at_its_record() -> None:
    task = duel()
    lived(task)
    decide(task, decision("save", id="1", version="good"))
    task.versions.unsaved.clear()
    with pytest.raises(VersionUnavailable) as failed:
        kit.step(task, (CONTROL, decision("rollback", "tree", id="2", version="good")))
    assert failed.value.record == (CONTROL, 0)


class TestTheStore:
    """Shelf and Versions over a store in memory."""

    def made(self, blobs: MemoryBlobs) -> tuple[Task, Shelf]:
        task = duel()
        task.versions.load = loader(blobs, KEY)
        store = Store(blobs, KEY, AtOnce(), World(trips.lean()).telemetry, lambda: 0.0)
        return task, Shelf(store, 0, since=0)

    def test_what_is_stored_is_loaded_when_it_is_not_in_memory_any_more(self) -> None:
        blobs = MemoryBlobs()
        task, shelf = self.made(blobs)
        lived(task)
        decide(task, decision("save", id="1", version="good"))
        said = asked(twin(task), 50)
        shelf.put_away(task.versions)
        shelf.put_away(task.versions)
        assert (task.versions.unsaved, len(blobs.names())) == ({}, 3)
        lived(task, 20)
        decide(task, decision("rollback", "tree", id="2", version="good"))
        assert asked(task, 50)["tree"] == said["tree"]

    def test_a_store_that_fails_is_asked_again_and_the_version_stays_in_memory(self) -> None:
        blobs = MemoryBlobs()
        task, shelf = self.made(blobs)

        def full(operation: str) -> None:
            if operation == "before put":
                raise StoreUnavailable("full")

        blobs.on = full
        decide(task, decision("save", id="1", version="good"))
        shelf.put_away(task.versions)
        shelf.put_away(task.versions)
        assert len(task.versions.unsaved) == 3
        assert shelf.retry_at_s > 0
        with pytest.raises(StoreUnavailable):
            shelf.store_now(task.versions)
        blobs.on = lambda _: None
        shelf.store_now(task.versions)
        assert (task.versions.unsaved, len(blobs.names())) == ({}, 3)

    @pytest.mark.parametrize("harm", ["cut off", "turned", "another version's", "unsigned"])
    def test_nothing_is_unpickled_that_is_not_this_version_signed_by_us(self, harm: str) -> None:
        blobs = MemoryBlobs()
        task, shelf = self.made(blobs)
        decide(task, decision("save", id="1", version="good"))
        shelf.store_now(task.versions)
        one, other, _ = blobs.names()
        blob = blobs.blobs[one]
        blobs.blobs[one] = {
            "cut off": blob[:-1],
            "turned": blob[:-1] + bytes([blob[-1] ^ 1]),
            "another version's": blobs.blobs[other],
            "unsigned": checkpoint.seal(checkpoint.freeze((one, None)), b"another key"),
        }[harm]
        with pytest.raises(CheckpointCorrupt):
            loader(blobs, KEY)(one)

    def test_a_dropped_version_is_spared_until_no_replay_can_ask_for_it(self) -> None:
        task, shelf = self.made(MemoryBlobs())
        decide(task, decision("save", id="1", version="good"))
        kept = {version.blob for version in task.versions.listed.values()}
        assert shelf.spare(task.versions, oldest=1) == kept
        task.versions.listed.clear()
        task.versions.dropped.extend(kept)
        shelf.note_dropped(task.versions, sequence=5)
        assert shelf.spare(task.versions, oldest=4) == kept
        assert shelf.spare(task.versions, oldest=5) == set()

    def test_before_the_oldest_state_is_one_of_its_own_it_lets_nothing_go(self) -> None:
        task, shelf = self.made(MemoryBlobs())
        shelf.since = 7
        assert shelf.spare(task.versions, oldest=6) is None


def test_names_are_told_from_those_of_checkpoints() -> None:
    assert checkpoint.BlobName.parse(str(VersionName.of(0, 5, "tree", "good"))) is None
    assert VersionName.parse(str(checkpoint.BlobName(0, 5, "ab" * 32))) is None


def test_the_same_label_again_takes_the_place_of_the_one_before() -> None:
    task = duel()
    versions = Versions(0, kept_max=5)
    model = task._panel.models[0]
    first, second = versions.keep(model, "good", 1), versions.keep(model, "good", 2)
    assert versions.labels(model.name) == ["good"]
    assert versions.dropped == [first.blob] != [second.blob]
