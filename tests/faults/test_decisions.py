"""Decisions on models as people type them, beside real workers, and through kill -9."""

from __future__ import annotations

import signal
from collections.abc import Callable

import msgspec
import pytest

from streams.records import DecisionRecord, PredictionRecord
from tests.faults.real import Real
from tests.faults.test_state_and_rejects import riverrun

pytestmark = pytest.mark.broker


def champions(made: Real, partition: int) -> list[str]:
    """The champion of each prediction, without repetition."""
    decode = msgspec.json.Decoder(PredictionRecord).decode
    said = [decode(value).model for _, _, value in made.outputs(partition)["predictions"]]
    return [name for name, before in zip(said, [None, *said], strict=False) if name != before]


def test_a_model_goes_back_to_a_version_and_stays_there_through_kill_9(real: Callable[..., Real]) -> None:
    made = real(partitions=2, options="checkpoint_every=100_000, inline_bytes_max=0")
    file = str(made.file)
    made.publish(400)
    made.worker("1")
    made.until(lambda: all(made.outputs(partition)["outcomes"] for partition in (0, 1)))
    riverrun(made, "models", "save", file, "good", "--why", "release")
    assert riverrun(made, "models", "list", file).stdout.splitlines()[0].startswith("logistic  good")
    made.publish(400, seed=2)
    shown = riverrun(made, "models", "show", file, "tree").stdout
    assert "HoeffdingTreeClassifier" in shown
    assert "version good" in shown
    assert "challenger" in shown

    gone_back = riverrun(made, "models", "rollback", file, "tree", "good", "--why", "worse since").stdout
    assert gone_back.count("rollback tree good") == gone_back.count("obeyed") == 2
    made.publish(400, seed=3)
    made.running[0].send_signal(signal.SIGKILL)
    made.running[0].wait(20)
    made.worker("1")
    refused = riverrun(made, "models", "rollback", file, "tree", "bad", "--why", "to see", code=1).stdout
    assert refused.count("refused: there is no version 'bad' of tree, only good, before ") == 2
    made.close()
    made.until_done()
    made.check()


def test_decisions_are_obeyed_by_every_task_and_survive_kill_9(real: Callable[..., Real]) -> None:
    made = real(partitions=2, options="checkpoint_every=100_000, inline_bytes_max=0")
    file = str(made.file)
    made.publish(400)
    made.worker("1")
    made.until(lambda: all(made.outputs(partition)["outcomes"] for partition in (0, 1)))
    promoted = riverrun(made, "models", "promote", file, "tree", "--why", "to see").stdout
    assert promoted.count("promote tree") == promoted.count("obeyed") == 2
    refused = riverrun(made, "models", "promote", file, "nobody", "--why", "to see", code=1).stdout
    assert refused.count("refused: there is no model 'nobody', only tree, logistic") == 2
    made.publish(400, seed=2)
    made.running[0].send_signal(signal.SIGKILL)
    made.running[0].wait(20)
    made.worker("1")
    riverrun(made, "models", "pause", file, "--why", "bad labels", "--by", "ann")
    made.publish(400, seed=3)
    made.close()
    made.until_done()
    made.check()
    assert [champions(made, partition) for partition in (0, 1)] == [["logistic", "tree"]] * 2
    log = riverrun(made, "models", "decisions", file).stdout.splitlines()
    assert len(log) == 6
    assert sum("by ann: bad labels" in line for line in log) == 2
    rows = [msgspec.json.decode(value, type=DecisionRecord) for _, _, value in made.outputs()["decisions"]]
    assert [(row.action, row.obeyed, row.number) for row in rows] == [
        ("promote", True, 1),
        ("promote", False, 1),
        ("pause", True, 2),
    ]
