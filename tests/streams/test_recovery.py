"""Recovery: back to what was committed, or a stop that says why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from streams import checkpoint, journal, recovery
from streams import worker as worker_module
from streams.errors import CheckpointCorrupt, CheckpointOutdated, Declined, JournalMismatch, PipelineError
from streams.journal import JournalRecord
from streams.pipeline import Pipeline
from streams.recovery import Recovered, recover
from tests.sim.cluster import Crash
from tests.sim.memory_log import MemoryLog
from tests.sim.world import KEY, World
from tests.streams import kit
from tests.streams.pipelines import trips

JOURNAL = "trips.journal"


def world(pipeline: Pipeline = trips.pipeline, count: int = 60) -> World:
    made = World(pipeline)
    made.put(kit.history(1, count, references=bool(pipeline.references), gaps=False))
    return made


def killed(made: World, turns: int = 12) -> World:
    """A worker was killed after these turns: there is a tail to replay."""
    worker = made.worker()
    for _ in range(turns):
        made.turn(worker)
    assert tail(made), "there is a tail"
    return made


def stopped(made: World, turns: int = 12) -> World:
    """A worker was stopped in peace after these turns: there is none."""
    worker = made.worker()
    for _ in range(turns):
        made.turn(worker)
    worker._log.close()
    assert not tail(made), "there is no tail"
    return made


def records(made: World) -> list[JournalRecord]:
    return [journal.decode(record.value or b"", "") for record in made.journal()]


def saved(made: World) -> list[str]:
    return [record.checkpoint.name for record in records(made) if record.checkpoint]


def tail(made: World) -> list[JournalRecord]:
    """The batches that a restart replays."""
    safe = max(record.checkpoint.sequence for record in records(made) if record.checkpoint)
    return [record for record in records(made) if record.sequence > safe and record.records]


def recovered(made: World, **changes: Any) -> Recovered:
    arguments = {"pipeline": made.pipeline, "key": KEY, "fingerprint": records(made)[-1].fingerprint} | changes
    return recover(partition=0, log=MemoryLog(made.cluster, "reader"), store=made.blobs, **arguments)


def goes_on(made: World) -> bool:
    """Whether a new worker brings everything to the end that an undisturbed one would reach."""
    undisturbed = World(made.pipeline)
    undisturbed.put(kit.history(1, 60, references=bool(made.pipeline.references), gaps=False))
    undisturbed.run()
    made.run()
    return made.outputs() == undisturbed.outputs()


def refused(made: World, error: type[PipelineError], match: str, **changes: Any) -> None:
    before = made.outputs(), made.journal(), dict(made.cluster.offsets)
    with pytest.raises(error, match=match) as caught:
        recovered(made, **changes)
    assert caught.value.where.startswith(JOURNAL)
    assert caught.value.remedy
    assert (made.outputs(), made.journal(), made.cluster.offsets) == before, "nothing was written"


def rewrite(made: World, change: Callable[[list[JournalRecord]], list[JournalRecord]]) -> None:
    """Let the journal say something else, in the same places."""
    changed = change(records(made))
    entries = [entry for entry in made.cluster.topics[JOURNAL][0] if entry.record]
    for entry, record in zip(entries, changed, strict=True):
        assert entry.record is not None
        entry.record = entry.record._replace(value=record.encode())


def test_a_task_that_never_ran_starts_at_the_beginning() -> None:
    fresh = recover(trips.pipeline, 0, MemoryLog(world().cluster, "a"), world().blobs, KEY, "code")
    assert (fresh.last, fresh.replayed, fresh.checkpoints) == (None, 0, [])
    assert fresh.next_offsets == {"sky": 0, "ends": 0, "starts": 0, "trips.control": 0}


def test_the_tail_since_the_checkpoint_is_replayed_and_nothing_is_put_out() -> None:
    made = killed(world())
    outputs = made.outputs()
    told: list[tuple[int, int]] = []
    back = recovered(made, progress=lambda *done: told.append(done))
    last = records(made)[-1]
    assert back.last == last
    assert back.next_offsets == {topic: next_offset for topic, (_, next_offset) in last.ranges.items()}
    assert back.replayed == sum(record.records for record in tail(made)) > 0
    assert told[-1] == (back.replayed, back.replayed)
    assert made.outputs() == outputs
    assert goes_on(made)


def test_a_corrupt_newest_checkpoint_falls_back_to_the_one_before() -> None:
    made = killed(world(), turns=15)
    assert len(saved(made)) >= 2
    little = recovered(made).replayed
    made.blobs.blobs[saved(made)[-1]] += b"\0"
    assert recovered(made).replayed > little
    assert goes_on(made)


def test_a_missing_newest_checkpoint_falls_back_to_the_one_before() -> None:
    made = killed(world(), turns=15)
    made.blobs.delete(saved(made)[-1])
    assert goes_on(made)


def test_without_any_checkpoint_it_stops_before_anything_is_replayed() -> None:
    made = killed(world())
    for name in made.blobs.names():
        made.blobs.delete(name)
    refused(made, CheckpointCorrupt, r"none of \d checkpoints loads")


def test_with_another_signing_key_it_stops() -> None:
    refused(killed(world()), CheckpointCorrupt, "RIVERRUN_SIGNING_KEY", key=b"another")


def test_checkpoints_of_another_version_of_riverrun_stop_it_and_are_named_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as before:
        before.setattr(checkpoint, "MAGIC", b"riverrun-checkpoint-2\n")
        made = killed(world())
    refused(made, CheckpointOutdated, "layout 2")


def test_a_checkpoint_far_behind_the_end_of_the_journal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "TAIL_OFFSETS", 8)
    made = killed(world(trips.lean(batch_max=1, checkpoint_every=10**6)), turns=60)
    assert len(records(made)) > 40
    assert len(saved(made)) == 1, "that before the first batch"
    assert recovered(made).replayed == sum(record.records for record in records(made))


def test_changed_code_with_a_tail_is_declined_and_without_one_goes_on() -> None:
    refused(killed(world()), Declined, "still to be replayed that other code", fingerprint="changed")
    made = stopped(world())
    assert recovered(made, fingerprint="changed").replayed == 0
    assert goes_on(made)


def test_a_tail_of_two_versions_is_declined_and_no_version_is_sent_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made = stopped(world(), turns=6)
    drained = saved(made)[-1]
    monkeypatch.setattr(worker_module, "fingerprint", lambda _: "deployed since")
    killed(made, turns=6)
    for name in saved(made)[saved(made).index(drained) :]:
        made.blobs.delete(name)
    refused(made, Declined, "no one version can replay them: put the newest checkpoint back")


def test_group_offsets_that_someone_moved_stop_it() -> None:
    made = killed(world())
    made.cluster.offsets["starts", 0] -= 1
    refused(made, JournalMismatch, "the group's offset of starts is")


def test_group_offsets_that_expired_do_not_matter_because_the_journal_decides() -> None:
    made = killed(world())
    made.cluster.offsets.clear()
    assert goes_on(made)


def test_a_journal_that_was_deleted_under_a_group_that_went_on_stops_it() -> None:
    made = killed(world())
    made.cluster.topics[JOURNAL][0].clear()
    with pytest.raises(JournalMismatch, match="the journal is empty"):
        recover(made.pipeline, 0, MemoryLog(made.cluster, "a"), made.blobs, KEY, "code")


def test_a_missing_journal_record_stops_it() -> None:
    made = killed(world())
    entries = made.cluster.topics[JOURNAL][0]
    next(entry for entry in entries[4:] if entry.record).record = None
    refused(made, JournalMismatch, "does not follow")


@pytest.mark.parametrize("field", ["output_digest", "input_digest"])
def test_a_replay_that_differs_from_the_journal_stops_it(field: str) -> None:
    def last_says_otherwise(chain: list[JournalRecord]) -> list[JournalRecord]:
        return [*chain[:-1], msgspec.structs.replace(chain[-1], **{field: "0" * 32})]

    made = killed(world())
    rewrite(made, last_says_otherwise)
    what = "gave other outputs" if field == "output_digest" else "input records"
    refused(made, JournalMismatch, what)


def test_something_else_in_the_journal_topic_stops_it() -> None:
    made = killed(world())
    made.cluster.put(JOURNAL, 0, kit.raw(0, 0, b"a stranger's"))
    with pytest.raises(JournalMismatch, match="not a journal record"):
        recover(made.pipeline, 0, MemoryLog(made.cluster, "a"), made.blobs, KEY, "code")


@pytest.mark.parametrize("change", ["lost", "changed", "retimed"])
def test_inputs_that_are_no_longer_what_they_were_stop_it(change: str) -> None:
    made = killed(world())
    first, next_offset = records(made)[-1].ranges["starts"]
    entry = next(e for e in made.cluster.topics["starts"][0][first:next_offset] if e.record)
    assert entry.record is not None
    if change == "lost":
        entry.record = None
    elif change == "changed":
        entry.record = entry.record._replace(value=b"{}")
    else:
        entry.record = entry.record._replace(timestamp_ms=entry.record.timestamp_ms + 1)
    refused(made, JournalMismatch, "input records")


def test_a_feature_function_that_is_not_deterministic_is_found_out_at_the_replay() -> None:
    trips.calls.clear()
    made = killed(world(trips.lean(features=trips.counted)), turns=7)
    refused(made, JournalMismatch, "gave other outputs than were committed")


def test_an_input_declared_since_starts_at_its_beginning() -> None:
    # stopped without `sky`; the code says so now, and it is read from 0
    made = World(replace(trips.pipeline, references=()))
    made.put(kit.history(1, 30, gaps=False)[1:])
    stopped(made)
    later = World(trips.pipeline, made.cluster, made.blobs)
    later.cluster.put("sky", 0, kit.sky(0, 0, 0.5))
    assert recovered(later).next_offsets["sky"] == 0
    later.run()
    assert later.done


def test_a_smaller_batch_is_no_other_replay() -> None:
    made = killed(world())
    made.pipeline = replace(trips.pipeline, batch_max=3, idle_after=timedelta(seconds=9))
    assert goes_on(made)


def test_old_checkpoints_are_let_go_of_after_restarts_too() -> None:
    made = world(count=90)
    for _ in range(6):
        stopped(made, turns=8)
    assert sorted(made.blobs.names()) == sorted(saved(made)[-3:])


def test_a_corrupt_checkpoint_does_not_crowd_out_the_good_ones() -> None:
    made = killed(world(), turns=15)
    made.blobs.blobs[saved(made)[-1]] += b"\0"
    assert saved(made)[-1] not in recovered(made).checkpoints


def test_a_worker_killed_while_it_recovers_leaves_everything_as_it_was() -> None:
    made = killed(world())
    before = made.outputs(), made.journal(), dict(made.blobs.blobs)

    def dies(operation: str) -> None:
        if operation == "before read":
            raise Crash(operation)

    made.cluster.on = dies
    worker = made.worker()
    with pytest.raises(Crash):
        made.turn(worker)
    made.cluster.on = lambda _: None
    assert (made.outputs(), made.journal(), made.blobs.blobs) == before
    assert goes_on(made)


def test_one_that_was_stopped_while_the_next_owner_let_go_of_its_checkpoints_looks_again() -> None:
    made = killed(world(count=90))
    known = set(made.blobs.names())

    def stops(operation: str) -> None:
        if operation == "before read":
            made.cluster.on = lambda _: None
            made.run()

    made.cluster.on = stops
    recovered(made)
    assert known.isdisjoint(made.blobs.names()), "there was nothing left to go back to"
