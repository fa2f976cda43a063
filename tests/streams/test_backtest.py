"""The backtest is the task over recorded history, bit for bit."""

from __future__ import annotations

import pytest

from streams import backtest as backtest_module
from streams.backtest import backtest
from streams.ports import Output
from tests.sim.world import World
from tests.streams import kit
from tests.streams.pipelines import trips


def backtested(seed: int, count: int = 60) -> tuple[list[Output], list[int]]:
    done: list[int] = []
    inputs = kit.history(seed, count)
    steps = backtest(trips.pipeline, 0, [iter(records) for records in inputs], done.append)
    return [output for outputs in steps for output in outputs], done


@pytest.mark.parametrize("chunk", [1, 3, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_a_backtest_gives_what_stepping_by_hand_gives(seed: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest_module, "CHUNK", chunk)
    outputs, done = backtested(seed)
    assert outputs == kit.run(trips.pipeline, kit.history(seed))[1]
    assert sum(done) == sum(map(len, kit.history(seed)))
    assert max(done) <= trips.pipeline.batch_max


def test_a_backtest_gives_what_a_worker_committed() -> None:
    made = World(trips.pipeline)
    made.put(kit.history(8, gaps=False))
    made.run()
    steps = backtest(trips.pipeline, 0, [iter(records) for records in made.inputs()])
    outputs = [output for step in steps for output in step]
    for name, committed in made.outputs().items():
        assert [(o.key, o.value, o.timestamp_ms) for o in outputs if o.name == name] == committed


def test_a_backtest_reads_ahead_and_not_everything_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest_module, "CHUNK", 5)
    read = 0
    inputs = kit.history(1, 200)

    def counted(records: list[kit.Record]):  # type: ignore[no-untyped-def]
        nonlocal read
        for record in records:
            read += 1
            yield record

    steps = backtest(trips.pipeline, 0, [counted(records) for records in inputs])
    next(steps)
    assert read <= 3 * 10


def test_no_history_is_no_output() -> None:
    assert list(backtest(trips.pipeline, 0, [iter(()), iter(()), iter(())])) == []
