"""A record that kills the process is found, skipped, journaled and rejected; nothing else changes."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from river import base

from models import Learner
from streams import journal
from streams.attempts import Caution
from streams.batch import Batch
from streams.errors import ModelFailed
from streams.journal import JournalRecord
from streams.pipeline import Pipeline
from streams.ports import Record
from streams.task import Step, Task
from tests.sim.background import Background
from tests.sim.cluster import Crash
from tests.sim.world import World
from tests.streams import kit
from tests.streams.pipelines import trips

DEADLY = "trip 17"


def world(pipeline: Pipeline = trips.pipeline, seed: int = 1) -> World:
    made = World(pipeline)
    made.put(kit.history(seed, 60, references=bool(pipeline.references), gaps=False))
    return made


def records(made: World) -> list[JournalRecord]:
    return [journal.decode(record.value or b"", "") for record in made.journal()]


def rejects(made: World) -> list[Any]:
    from msgspec.json import decode

    from streams.records import RejectRecord

    return [decode(value, type=RejectRecord) for _, value, _ in made.outputs()["rejects"]]


@pytest.fixture
def segfault(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Stepping over the start of this trip kills the process."""
    deaths = Counter[str]()
    step = Task.step

    def dies(self: Task, batch: Any) -> Step:
        for index, record in batch.records:
            if index == 2 and DEADLY.encode() in (record.value or b"") and (index, record.offset) not in batch.skipped:
                deaths[DEADLY] += 1
                raise Crash("segmentation fault")
        return step(self, batch)

    monkeypatch.setattr(Task, "step", dies)
    return deaths


def survive(made: World, starts_max: int = 20) -> int:
    """Start a worker again and again until all is done; how many died."""
    for died in range(starts_max):
        try:
            made.run()
        except Crash:
            continue
        return died
    raise AssertionError("it dies for ever")


class TestARecordThatKills:
    """Row 32: a segfault, or the out-of-memory killer."""

    def test_it_is_skipped_after_two_deaths_of_its_batch_and_two_of_its_own(self, segfault: Counter[str]) -> None:
        made = world()
        assert survive(made) == 4 == segfault[DEADLY]
        (reject,) = [each for each in rejects(made) if each.reason == "crashed_the_worker"]
        assert DEADLY.encode() in (reject.value or b"")
        (skip,) = [skip for record in records(made) for skip in record.skipped]
        assert (skip.topic, skip.offset, skip.reason) == ("starts", reject.offset, "crashed_the_worker")
        assert len(made.outputs()["features"]) > 30, "the rest was predicted"

    def test_everything_else_is_as_if_the_record_had_been_rejected_at_once(self, segfault: Counter[str]) -> None:
        made = world()
        survive(made)
        (skip,) = [skip for record in records(made) for skip in record.skipped]
        task = Task(made.pipeline, 0)
        outputs = []
        for batch in kit.batches(made.inputs(), 10**9):
            from streams.attempts import deadly

            outputs += task.step(replace(batch, skipped={(2, skip.offset): deadly()})).outputs
        for name, committed in made.outputs().items():
            assert committed == [(o.key, o.value, o.timestamp_ms) for o in outputs if o.name == name], name

    @pytest.mark.parametrize("batch_max", [1, 3, 16])
    def test_it_is_found_though_the_batch_before_it_is_not_committed_yet(
        self, segfault: Counter[str], batch_max: int
    ) -> None:
        made = world(replace(trips.pipeline, batch_max=batch_max))
        deaths = 0
        while not made.done:
            made.committing = Background()  # what it held dies with the process
            try:
                made.run()
            except Crash:
                deaths += 1
                assert deaths <= 5, "it dies for ever"
        (skip,) = [skip for record in records(made) for skip in record.skipped]
        assert (skip.topic, skip.reason) == ("starts", "crashed_the_worker")

    def test_a_batch_that_is_cut_from_an_earlier_place_now_counts_as_the_one_that_died(self) -> None:
        kept: dict[int, bytes] = {}
        store = SimpleNamespace(load=kept.get, save=kept.__setitem__, clear=kept.pop)
        for start in (5, 3, 4):  # what came before offset 5 was not committed when the process died
            records = [(0, Record(offset, 1_000, None, b"")) for offset in range(start, 9)]
            Caution.after_restart(store, 0, (3,)).begin(Batch(((start, 9),), records))
        assert Caution.after_restart(store, 0, (3,)).records_max((3,), 100) == 1

    def test_it_stays_skipped_in_a_replay(self, segfault: Counter[str]) -> None:
        made = world(replace(trips.pipeline, checkpoint_every=10**9))
        survive(made)
        made.cluster.evict("a")
        segfault.clear()
        worker = made.worker("b")
        for _ in range(3):
            made.turn(worker)
        assert made.telemetry.counts["replayed_records"] > 0
        assert not segfault

    def test_deaths_at_other_places_make_nobody_careful(self) -> None:
        # killed between begin and commit of the same batch, five times: it is not the records' fault
        made = world()
        deaths = 0

        def dies(operation: str) -> None:
            nonlocal deaths
            if operation == "before commit" and made.outputs()["features"] and deaths < 5:
                deaths += 1
                raise Crash(operation)

        made.cluster.on = dies
        assert survive(made) == 5
        assert not [skip for record in records(made) for skip in record.skipped]

    def test_an_attempt_that_a_power_cut_tore_is_forgotten(self) -> None:
        made = world()
        made.attempts.save(0, b'{"tries": 2, "firs')
        made.run()
        assert made.done


class Moody(base.Classifier):  # type: ignore[misc]
    """Counts what it learns; raises, half-updated, on trips of 13 to 14 km; forgets to say a number above 19."""

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self.learned = 0

    def learn_one(self, x: dict[str, Any], y: Any) -> None:
        self.learned += 1
        if 13 < x["km"] < 14:
            raise ZeroDivisionError("half-updated")

    def predict_proba_one(self, x: dict[str, Any]) -> dict[bool, float]:
        if x["km"] > 19:
            return {True: float("nan")}
        return {True: min(self.learned / 1_000, 1.0)}


def moody() -> Pipeline:
    return trips.lean(champion=Learner("moody", Moody()), checkpoint_every=10)


class TestAModelThatRaises:
    """It is never left half-updated: the task is rebuilt, the record skipped."""

    def test_records_it_raises_on_are_rejected_and_the_rest_goes_on(self) -> None:
        made = world(moody())
        worker = made.run()
        failed = [each for each in rejects(made) if each.reason == "model_failed"]
        assert {each.topic for each in failed} == {"starts", "ends"}, "it raised when predicting, and when learning"
        assert any("predicts NaN" in each.detail for each in failed)
        assert any("moody: ZeroDivisionError: half-updated" in each.detail for each in failed)
        scored = made.telemetry.counts["labels"]
        assert scored > 20
        learned = worker.runs[0].task._panel.models[0].model.learned
        outcomes = [value for _, value, _ in made.outputs()["outcomes"] if b'"scored"' in value]
        assert learned == len(outcomes), "each label that was scored was learned once, those that failed were not"

    @pytest.mark.parametrize("seed", range(4))
    def test_crashes_leave_no_trace_of_it_either(self, seed: int) -> None:
        undisturbed, made = world(moody(), seed), world(moody(), seed)
        undisturbed.run()
        draw = random.Random(seed)
        made.run_through_crashes({draw.randrange(400) for _ in range(8)})
        assert made.outputs() == undisturbed.outputs()
        assert sum(len(record.skipped) for record in records(made)) > 0

    def test_how_batches_are_cut_makes_no_difference(self) -> None:
        from dataclasses import replace

        whole, by_three = world(replace(moody(), batch_max=1_000)), world(replace(moody(), batch_max=3))
        whole.run()
        by_three.run()
        assert whole.outputs() == by_three.outputs()

    def test_the_backtest_skips_the_same_records(self) -> None:
        from streams.backtest import backtest

        made = world(moody())
        made.run()
        again: dict[str, list[tuple[Any, ...]]] = {name: [] for name in made.outputs()}
        for outputs in backtest(made.pipeline, 0, [iter(records) for records in made.inputs()]):
            for name, key, value, timestamp_ms in outputs:
                again[name].append((key, value, timestamp_ms))
        assert again == made.outputs()

    def test_a_log_says_which_record_was_skipped(self, caplog: pytest.LogCaptureFixture) -> None:
        made = world(moody())
        made.run()
        told = [record.__dict__ for record in caplog.records if record.name == "riverrun.models"]
        skipped = {(each.topic, each.offset) for record in records(made) for each in record.skipped}
        assert {(each["topic"], each["offset"]) for each in told} == skipped
        assert {(each["task"], each["partition"]) for each in told} == {(0, 0)}

    def test_a_model_that_fails_on_everything_stops_the_worker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("streams.skipping.SKIPS_MAX", 5)
        made = world(trips.lean(champion=Learner("moody", Moody()), batch_max=1_000))
        monkeypatch.setattr(Moody, "predict_proba_one", lambda self, x: {True: float("nan")})
        with pytest.raises(ModelFailed, match="predicts NaN") as caught:
            made.run()
        assert "5 records of one batch" in caught.value.remedy
