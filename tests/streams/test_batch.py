"""One canonical order, however records were fetched and cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.batch import Batch, InputBuffers, merge
from streams.ports import Record
from tests.streams import kit


def record(offset: int, timestamp_ms: int) -> Record:
    return Record(offset, timestamp_ms, None, b"%d" % offset)


def log(times: list[tuple[int, int]]) -> list[Record]:
    """Records with these (gap before, timestamp): within a partition times may go back."""
    records, offset = [], 0
    for gap, timestamp_ms in times:
        offset += gap
        records.append(record(offset, timestamp_ms))
        offset += 1
    return records


logs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=12).map(log)
three_logs = st.lists(logs, min_size=1, max_size=3)


@given(three_logs, st.data())
def test_the_order_is_the_same_however_records_are_fetched_and_cut(inputs: list[list[Record]], data: Any) -> None:
    buffers, left = InputBuffers([0] * len(inputs)), [list(records) for records in inputs]
    came: list[Batch] = []
    for _ in range(500):
        for index, records in enumerate(left):
            count = data.draw(st.integers(0, 4)) if len(came) < 50 else 4
            fetched, left[index] = records[:count], records[count:]
            buffers.add(index, fetched, None)
        ended = [index for index, records in enumerate(left) if not records]  # only these are not waited for
        came.append(buffers.cut(data.draw(st.integers(1, 5)) if len(came) < 50 else 5, idle=ended))
        if not any(left) and not any(buffers.waiting(index) for index in range(len(inputs))):
            break
    assert [pair for batch in came for pair in batch.records] == kit.merged(inputs)


@given(three_logs, st.integers(1, 6), st.sets(st.integers(0, 2)), st.integers(0, 3))
def test_the_ranges_of_a_batch_give_the_batch_again(
    inputs: list[list[Record]], records_max: int, idle: set[int], trailing: int
) -> None:
    buffers = InputBuffers([0] * len(inputs))
    for index, records in enumerate(inputs):
        buffers.add(index, records, end_offset=records[-1].offset + 1 + trailing if records else trailing)
    before = [(0, 0)] * len(inputs)
    while (batch := buffers.cut(records_max, idle)).records:
        assert [first for first, _ in batch.ranges] == [next_offset for _, next_offset in before]
        inside = [
            [r for r in records if first <= r.offset < next_offset]
            for records, (first, next_offset) in zip(inputs, batch.ranges, strict=True)
        ]
        assert merge(batch.ranges, inside) == batch
        assert sum(map(len, inside)) == len(batch.records), "a range holds what the batch took and nothing else"
        before = list(batch.ranges)


def values(batch: Batch) -> list[tuple[int, int]]:
    return [(index, record.offset) for index, record in batch.records]


def test_an_input_that_may_hold_an_older_record_is_waited_for() -> None:
    # input 0   100      300
    # input 1        200        <- what comes next may be older than 300
    buffers = InputBuffers([0, 0])
    buffers.add(0, [record(0, 100), record(1, 300)])
    buffers.add(1, [record(0, 200)])
    assert values(buffers.cut(10, idle=())) == [(0, 0), (1, 0)]
    waiting = buffers.cut(10, idle=())
    assert waiting == Batch(((1, 1), (1, 1)), [])
    buffers.add(1, [record(1, 250), record(2, 400)])
    assert values(buffers.cut(10, idle=())) == [(1, 1), (0, 1)]


def test_an_idle_input_is_not_waited_for() -> None:
    buffers = InputBuffers([0, 0])
    buffers.add(0, [record(0, 100)])
    assert not buffers.cut(10, idle=()).records
    assert values(buffers.cut(10, idle=[1])) == [(0, 0)]


def test_at_the_same_time_the_input_declared_first_goes_first() -> None:
    buffers = InputBuffers([0, 0, 0])
    for index in (2, 0, 1):
        buffers.add(index, [record(0, 100)])
    assert values(buffers.cut(10, idle=range(3))) == [(0, 0), (1, 0), (2, 0)]


def test_a_partition_keeps_its_own_order_even_against_time() -> None:
    # input 0   500  100       100 waits behind 500
    # input 1   200
    buffers = InputBuffers([0, 0])
    buffers.add(0, [record(0, 500), record(1, 100)])
    buffers.add(1, [record(0, 200)])
    assert values(buffers.cut(10, idle=[0, 1])) == [(1, 0), (0, 0), (0, 1)]


def test_markers_between_and_behind_records_belong_to_the_batch_that_passed_them() -> None:
    # offsets   0  1=marker  2  3=marker      end 4
    buffers = InputBuffers([0])
    buffers.add(0, [record(0, 100), record(2, 200)], end_offset=4)
    assert buffers.cut(1, idle=[0]).ranges == ((0, 1),)
    assert buffers.cut(1, idle=[0]).ranges == ((1, 4),)
    assert not buffers.trailing


def test_trailing_markers_are_taken_by_an_empty_batch_only_when_asked() -> None:
    buffers = InputBuffers([5, 0])
    assert not buffers.trailing, "an end is not known yet"
    buffers.add(0, [], end_offset=7)
    assert not buffers.trailing, "the other end is not known yet"
    buffers.add(1, [], end_offset=0)
    assert buffers.trailing
    assert buffers.cut(10, idle=()).ranges == ((5, 5), (0, 0))
    assert buffers.cut(10, idle=(), settle=True) == Batch(((5, 7), (0, 0)), [])
    assert not buffers.trailing


def test_an_input_that_went_on_is_no_longer_at_its_end() -> None:
    buffers = InputBuffers([0])
    buffers.add(0, [], end_offset=0)
    assert buffers.at_end(0)
    buffers.add(0, [record(0, 1)])
    assert not buffers.at_end(0)
    assert buffers.waiting(0) == 1
    buffers.cut(10, idle=())
    assert not buffers.at_end(0), "that nothing waits does not mean that nothing comes"


@pytest.mark.parametrize("seed", range(3))
def test_a_whole_history_comes_out_in_canonical_order_whatever_the_batch_size(seed: int) -> None:
    inputs = kit.history(seed)
    for records_max in (1, 7, 1_000):
        cut = [pair for batch in kit.batches(inputs, records_max) for pair in batch.records]
        assert cut == kit.merged(inputs)
