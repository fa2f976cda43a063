"""Offsets of one task that Kafka forgot to abort, while the worker that left them goes on with another task.

worker a    task 0, task 1 │ offsets of task 1 sent, † │ a again, with task 0: its commit would commit them
worker b                   │ joins, has task 1 from now on
"""

from __future__ import annotations

from unittest.mock import patch

import pytest

from streams.errors import JournalMismatch
from tests.sim.cluster import Crash
from tests.sim.memory_log import MemoryLog
from tests.sim.world import World
from tests.streams import kit
from tests.streams.pipelines import trips


def world() -> World:
    """A worker died in a transaction of task 1, its offsets are pending, and the group goes on with two workers."""
    made = World(trips.lean(partitions=2, inline_bytes_max=0))
    first = made.worker("a")
    for _ in range(3):
        made.turn(first)
    assert sorted(first.runs) == [0, 1]
    made.put(kit.history(1, 30, references=False, gaps=False), partition=1)

    def dies(operation: str) -> None:
        if operation == "before commit" and made.cluster.producers["a"].open.offsets:  # type: ignore[union-attr]
            made.cluster.producers["a"].forgets = "offsets"
            raise Crash(operation)

    made.cluster.on = dies
    with pytest.raises(Crash):
        made.until_done(first)
    made.cluster.on = lambda _: None
    made.put(kit.history(2, 30, references=False, gaps=False), partition=0)
    return made


def goes_on(made: World) -> None:
    """The one that died and another share the tasks, to the end."""
    successor, other = made.worker("a"), made.worker("b")
    waiting: list[None] = []

    def a_second() -> None:
        """While one waits the other one works."""
        waiting.append(None)
        if len(waiting) == 1:
            made.turn(successor)
        made.cluster.pass_time(1.0)
        waiting.pop()

    made.cluster.while_waiting = a_second
    made.until_done(successor, other)
    assert made.cluster.seen["forgotten"] == 1
    assert (sorted(successor.runs), sorted(other.runs)) == ([0], [1])


def test_they_are_waited_for_and_nothing_comes_of_them() -> None:
    made = world()
    goes_on(made)
    peaceful = World(made.pipeline)
    peaceful.put(kit.history(1, 30, references=False, gaps=False), partition=1)
    peaceful.put(kit.history(2, 30, references=False, gaps=False), partition=0)
    peaceful.run()
    for partition in (0, 1):
        assert made.outputs(partition) == peaceful.outputs(partition)


def test_without_waiting_the_next_commit_takes_them_along() -> None:
    with patch.object(MemoryLog, "_any_offset_is_pending", lambda self: False), pytest.raises(JournalMismatch):
        goes_on(world())
