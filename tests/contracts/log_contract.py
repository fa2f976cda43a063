"""What every ``Log`` must do (streams/ports.py), Kafka and the in-memory log alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from streams.errors import Fenced, PipelineError
from streams.ports import Fetched, Log, Output, Record

TURNS_MAX = 600
"""Polls of 50 ms until a condition holds: 30 s."""


class LogKit(Protocol):
    """Makes topics, and logs on them, for one test."""

    def topic(self, partitions: int) -> str:
        """Create a topic; gives its name."""

    def log(self, worker: str, transaction_timeout_s: float = 15.0) -> Log:
        """A log of the test's group, for the worker of this name; closed after the test."""


@dataclass
class Listener:
    """Starts every partition at the group's offset, else at the beginning, and notes what happened."""

    log: Log
    topics: list[str]
    tasks: set[int] = field(default_factory=set)
    events: list[str] = field(default_factory=list)
    on_revoke: Callable[[], None] = lambda: None

    def assigned(self, partitions: list[int]) -> None:
        self.events.append(f"assigned {partitions}")
        self.tasks |= set(partitions)
        for partition in partitions:
            committed = self.log.committed(self.topics, partition)
            for topic in self.topics:
                offset = committed[topic]
                self.log.seek(
                    topic, partition, self.log.beginning_offset(topic, partition) if offset is None else offset
                )

    def revoked(self, partitions: list[int], *, lost: bool) -> None:
        self.events.append(f"{'lost' if lost else 'revoked'} {partitions}")
        self.on_revoke()
        self.tasks -= set(partitions)


def produce(log: Log, topic: str, partition: int, key: bytes | None, value: bytes, timestamp_ms: int) -> None:
    """Write one record."""
    log.produce({"it": topic}, partition, [Output("it", key, value, timestamp_ms)])


def put(log: Log, topic: str, *values: str, partition: int = 0, commit: bool = True) -> None:
    """One transaction that writes these values; their timestamps are 1,000 and up."""
    log.begin()
    for i, value in enumerate(values):
        produce(log, topic, partition, b"key", value.encode(), 1_000 + i)
    log.commit() if commit else log.abort()


def joined(log: Log, *topics: str) -> Listener:
    """Subscribe, and poll until the group has answered."""
    listener = Listener(log, list(topics))
    log.subscribe(list(topics), listener)
    assert not list(polled(log, until=lambda _: bool(listener.events))), "nothing comes before the assignment"
    return listener


def polled(log: Log, until: Callable[[list[Fetched]], bool]) -> list[Fetched]:
    """Poll until the condition holds of all that came."""
    came: list[Fetched] = []
    for _ in range(TURNS_MAX):
        if until(came):
            return came
        came += log.poll(0.05, 100)
    raise AssertionError(f"only this came: {came}")


def values(came: list[Fetched] | Iterator[Record], topic: str | None = None) -> list[str]:
    """The values of all records, in the order they came."""
    records: list[Record] = []
    for each in came:
        if isinstance(each, Record):
            records.append(each)
        elif topic in {None, each.topic}:
            records += each.records
    return [(record.value or b"").decode() for record in records]


def at_least(count: int) -> Callable[[list[Fetched]], bool]:
    return lambda came: len(values(came)) >= count


def at_end(came: list[Fetched]) -> bool:
    return bool(came) and came[-1].end_offset is not None


class LogContract:
    """Mix into a test class that has a ``kit`` fixture."""

    def test_what_settles_has_no_open_transaction_in_any_topic(self, kit: LogKit):
        # left   a │        right   open ┄┄┄ ended by its timeout of 1 s │ settled
        left, right, dying, other = kit.topic(2), kit.topic(2), kit.log("dying", 1.0), kit.log("other")
        joined(dying, left)
        put(dying, left, "a", partition=1)
        dying.begin()
        produce(dying, right, 1, b"key", b"open", 1_000)
        dying.send_offsets({(left, 1): 1})
        other.settle([left, right], 0)
        other.settle([left, right], 1)
        assert values(other.read(right, 1, 0, other.end_offset(right, 1))) == []
        with pytest.raises(PipelineError):
            dying.commit()

    def test_what_settles_has_no_offset_pending_of_any_task(self, kit: LogKit):
        # offsets of partition 1   1 ┄┄┄ pending until the transaction's timeout of 1 s │ settled
        topic, dying, other = kit.topic(2), kit.log("dying", 1.0), kit.log("other")
        joined(dying, topic)
        put(dying, topic, "a", partition=1)
        dying.begin()
        produce(dying, topic, 1, b"key", b"open", 1_000)
        dying.send_offsets({(topic, 1): 1})
        other.subscribe([topic], Listener(other, [topic]))
        other.settle([], 0)
        with pytest.raises(PipelineError):
            dying.commit()

    def test_committed_records_come_whole_and_in_order(self, kit: LogKit):
        # offset   0  1  2=marker  3  4=marker
        # value    a  b            c
        topic, log = kit.topic(1), kit.log("a")
        joined(log, topic)
        put(log, topic, "a", "b")
        put(log, topic, "c")
        came = polled(log, until=lambda came: at_least(3)(came) and at_end(came))
        records = [record for fetched in came for record in fetched.records]
        assert records[:2] == [Record(0, 1_000, b"key", b"a"), Record(1, 1_001, b"key", b"b")]
        assert values(came) == ["a", "b", "c"]
        assert log.end_offset(topic, 0) >= (came[-1].end_offset or 0) > records[-1].offset
        assert all((fetched.topic, fetched.partition) == (topic, 0) for fetched in came)

    def test_aborted_records_never_come_and_the_end_lies_past_them(self, kit: LogKit):
        topic, log = kit.topic(1), kit.log("a")
        joined(log, topic)
        put(log, topic, "kept")
        put(log, topic, "dropped", commit=False)
        end = log.end_offset(topic, 0)
        came = polled(log, until=lambda came: bool(came) and (came[-1].end_offset or 0) >= end > 0)
        assert values(came) == ["kept"]

    def test_a_transaction_may_be_given_up_at_once(self, kit: LogKit):
        topic, log = kit.topic(1), kit.log("a")
        joined(log, topic)
        for kept in map(str, range(20)):
            put(log, topic, kept)
            many = 20 << int(kept) // 2  # up to 10,240: when they are given up none, some, most are on their way
            put(log, topic, *["dropped"] * many, commit=False)
        assert values(polled(log, until=at_least(20))) == list(map(str, range(20)))

    def test_a_poll_brings_no_more_than_asked_for(self, kit: LogKit):
        topic, log = kit.topic(1), kit.log("a")
        put_with(kit, topic, *map(str, range(10)))
        joined(log, topic)
        came: list[Fetched] = []
        while len(values(came)) < 10:
            fetched = log.poll(0.05, 3)
            assert len(values(fetched)) <= 3
            came += fetched
        assert values(came) == list(map(str, range(10)))

    def test_reading_starts_where_the_listener_seeks(self, kit: LogKit):
        topic, first, second = kit.topic(1), kit.log("a"), kit.log("b")
        joined(first, topic)
        put(first, topic, "a", "b", "c")
        polled(first, until=at_least(3))
        first.begin()
        first.send_offsets({(topic, 0): 2})
        first.commit()
        first.close()
        joined(second, topic)
        assert values(polled(second, until=at_least(1))) == ["c"]

    def test_the_groups_offsets_change_with_a_commit_only(self, kit: LogKit):
        topic, log = kit.topic(2), kit.log("a")
        joined(log, topic)
        assert log.committed([topic], 1) == {topic: None}
        log.begin()
        log.send_offsets({(topic, 1): 7})
        log.commit()
        log.begin()
        log.send_offsets({(topic, 1): 9})
        log.abort()
        assert log.committed([topic], 1) == {topic: 7}
        assert log.committed([topic], 0) == {topic: None}

    def test_seek_goes_back(self, kit: LogKit):
        topic, log = kit.topic(1), kit.log("a")
        joined(log, topic)
        put(log, topic, "a", "b", "c")
        polled(log, until=at_least(3))
        log.seek(topic, 0, 1)
        assert values(polled(log, until=at_least(2))) == ["b", "c"]

    def test_a_paused_partition_is_silent_until_resumed(self, kit: LogKit):
        topic, other, log = kit.topic(1), kit.topic(1), kit.log("a")
        joined(log, topic, other)
        log.pause([(topic, 0)])
        put(log, topic, "paused")
        put(log, other, "flows")
        assert values(polled(log, until=at_least(1))) == ["flows"]
        log.resume([(topic, 0)])
        assert values(polled(log, until=at_least(1))) == ["paused"]

    def test_what_was_paused_flows_again_after_a_rebalance(self, kit: LogKit):
        topic, other, a, b = kit.topic(1), kit.topic(1), kit.log("a"), kit.log("b")
        one, two = joined(a, topic, other), Listener(b, [topic, other])
        a.pause([(topic, 0)])
        b.subscribe([topic, other], two)
        turn_until([a, b], lambda: "revoked [0]" in one.events and bool(one.tasks | two.tasks))
        b.close()
        turn_until([a], lambda: one.tasks == {0})
        put(a, topic, "flows again")
        assert values(polled(a, until=at_least(1))) == ["flows again"]

    def test_ranges_are_read_exactly_again_and_in_turns(self, kit: LogKit):
        left, right, log = kit.topic(1), kit.topic(1), kit.log("a")
        put_with(kit, left, *"abcdef")
        put_with(kit, right, *"uvwxyz")
        assert values(log.read(left, 0, 1, 3)) == ["b", "c"]
        assert values(log.read(left, 0, 3, 5)) == ["d", "e"]
        assert values(log.read(left, 0, 0, 2)) == ["a", "b"]
        assert values(log.read(left, 0, 2, 2)) == []
        turns = zip(log.read(left, 0, 0, 6), log.read(right, 0, 0, 6), strict=True)
        assert values(iter([record for pair in turns for record in pair])) == list("aubvcwdxeyfz")
        assert values(log.read(left, 0, 5, log.end_offset(left, 0))) == ["f"], "the range may end past a marker"

    def test_beginning_and_end_of_an_empty_log(self, kit: LogKit):
        topic, log = kit.topic(1), kit.log("a")
        assert (log.beginning_offset(topic, 0), log.end_offset(topic, 0)) == (0, 0)

    def test_lag_counts_to_the_end_once_heard_of(self, kit: LogKit):
        topic, log = kit.topic(1), kit.log("a")
        joined(log, topic)
        put(log, topic, "a", "b")
        came = polled(log, until=lambda came: at_least(2)(came) and at_end(came))
        end = came[-1].end_offset or 0
        assert (log.lag(topic, 0, 0), log.lag(topic, 0, end)) == (end, 0)

    def test_a_worker_whose_identity_was_taken_over_is_fenced(self, kit: LogKit):
        topic, old = kit.topic(1), kit.log("same")
        joined(old, topic)
        old.begin()
        produce(old, topic, 0, None, b"from a zombie", 1_000)
        new = kit.log("same")
        new.subscribe([topic], Listener(new, [topic]))
        with pytest.raises(Fenced):
            old.commit()
        assert values(new.read(topic, 0, 0, new.end_offset(topic, 0))) == []

    def test_a_fenced_worker_is_told_when_it_sends_offsets_too(self, kit: LogKit):
        topic, old = kit.topic(1), kit.log("same")
        joined(old, topic)
        old.begin()
        produce(old, topic, 0, None, b"from a zombie", 1_000)
        new = kit.log("same")
        new.subscribe([topic], Listener(new, [topic]))
        with pytest.raises(Fenced):
            old.send_offsets({(topic, 0): 1})
        assert kit.log("reader").committed([topic], 0) == {topic: None}

    def test_a_transaction_left_open_is_aborted_by_its_timeout_and_cannot_be_committed_any_more(self, kit: LogKit):
        # old   begin, produce, offsets │ stopped ......... │ commit: fenced
        # new                           │ waits for the end │
        topic, old, new = kit.topic(1), kit.log("old", transaction_timeout_s=1), kit.log("new")
        joined(old, topic)
        put(old, topic, "a")
        old.begin()
        produce(old, topic, 0, None, b"from a zombie", 1_000)
        old.send_offsets({(topic, 0): 1})
        assert new.committed([topic], 0) == {topic: None}
        assert values(new.read(topic, 0, 0, new.end_offset(topic, 0))) == ["a"]
        with pytest.raises(Fenced):
            old.commit()
        assert new.committed([topic], 0) == {topic: None}

    def test_offsets_may_still_be_committed_while_the_group_takes_tasks_away(self, kit: LogKit):
        topic, a, b = kit.topic(1), kit.log("a"), kit.log("b")
        one, two = joined(a, topic), Listener(b, [topic])
        put(a, topic, "a", "b", "c")

        def leave_a_position() -> None:
            if one.events[1:] == ["revoked [0]"]:  # the first time
                a.begin()
                a.send_offsets({(topic, 0): 2})
                a.commit()

        one.on_revoke = leave_a_position
        b.subscribe([topic], two)
        came: list[Fetched] = []
        for _ in range(TURNS_MAX):
            fetched = [*a.poll(0.05, 100), *b.poll(0.05, 100)]
            came += fetched if "revoked [0]" in one.events else []
            if values(came):
                break
        assert values(came) == ["c"]

    def test_workers_share_the_partitions_and_take_over_from_one_that_leaves(self, kit: LogKit):
        left, right = kit.topic(2), kit.topic(2)
        a, b = kit.log("a"), kit.log("b")
        one, two = joined(a, left, right), Listener(b, [left, right])
        assert one.tasks == {0, 1}
        b.subscribe([left, right], two)
        turn_until([a, b], lambda: len(one.tasks) == len(two.tasks) == 1 and one.tasks != two.tasks)
        assert one.events[1].startswith("revoked"), "all are taken before they are shared anew"
        b.close()
        turn_until([a], lambda: one.tasks == {0, 1})

    def test_what_the_last_owner_commits_while_revoked_is_where_the_next_starts(self, kit: LogKit):
        topic, a, b = kit.topic(1), kit.log("a"), kit.log("b")
        listener = joined(a, topic)
        put(a, topic, "a", "b", "c")

        def leave_a_position() -> None:
            a.begin()
            a.send_offsets({(topic, 0): 2})
            a.commit()

        listener.on_revoke = leave_a_position
        a.close()
        joined(b, topic)
        assert values(polled(b, until=at_least(1))) == ["c"]

    def test_an_error_of_the_listener_comes_out_of_poll(self, kit: LogKit):
        class Broken(Listener):
            def assigned(self, partitions: list[int]) -> None:
                raise Fenced("the listener's own", where="here")

        topic, log = kit.topic(1), kit.log("a")
        log.subscribe([topic], Broken(log, [topic]))
        with pytest.raises(Fenced, match="the listener's own"):
            polled(log, until=at_least(1))


def put_with(kit: LogKit, topic: str, *what: str) -> None:
    """Write with a log of its own."""
    writer = kit.log("writer")
    writer.subscribe([topic], Listener(writer, [topic]))
    put(writer, topic, *what)
    writer.close()


def turn_until(logs: list[Log], condition: Callable[[], bool]) -> None:
    """Let every worker poll in turn until the condition holds."""
    for _ in range(TURNS_MAX):
        if condition():
            return
        for log in logs:
            log.poll(0.05, 100)
    raise AssertionError("the group did not settle")
