"""The journal's chain: what is missing, doubled or torn shows."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import journal
from streams.batch import Batch
from streams.errors import JournalMismatch
from streams.journal import JournalRecord, verify_chain
from streams.ports import Output, Record


def chain(count: int) -> list[JournalRecord]:
    """Records that each read two offsets of "a", one of "b"."""
    records: list[JournalRecord] = []
    for i in range(count):
        previous = records[-1].digest() if records else ""
        ranges = {"a": (2 * i, 2 * i + 2), "b": (i, i + 1)}
        records.append(JournalRecord(i, previous, ranges, 3, "in", 1, f"out {i}", "code"))
    return records


def mismatch(records: list[JournalRecord]) -> str:
    with pytest.raises(JournalMismatch) as caught:
        verify_chain(records, "j[0]")
    assert caught.value.where == "j[0]"
    assert caught.value.remedy
    return caught.value.what


def test_a_whole_chain_holds_from_any_record_on() -> None:
    records = chain(6)
    for first in range(6):
        verify_chain(records[first:], "j[0]")
    verify_chain([], "j[0]")


@given(st.integers(1, 4))
def test_a_missing_record_shows(missing: int) -> None:
    records = chain(6)
    del records[missing]
    assert "does not follow" in mismatch(records)


@given(st.integers(0, 5))
def test_a_repeated_record_shows(repeated: int) -> None:
    records = chain(6)
    records.insert(repeated, records[repeated])
    assert "does not follow" in mismatch(records)


@given(st.integers(0, 4), st.sampled_from(["output_digest", "input_digest", "fingerprint", "checkpoint"]))
def test_a_changed_record_shows(changed: int, field: str) -> None:
    records = chain(6)
    records[changed] = msgspec.structs.replace(records[changed], **{field: "other"})
    assert "does not follow" in mismatch(records)


def test_records_in_another_order_show() -> None:
    records = chain(4)
    records[1], records[2] = records[2], records[1]
    assert "does not follow" in mismatch(records)


def test_a_record_that_skips_or_repeats_offsets_shows_even_in_a_whole_chain() -> None:
    for wrong in (1, 3):
        (first,) = chain(1)
        ranges = {"a": (wrong, 4), "b": (1, 2)}
        second = JournalRecord(1, first.digest(), ranges, 3, "in", 1, "out", "code")
        assert f"reads a from {wrong}, not from 2" in mismatch([first, second])


def test_an_input_declared_since_may_begin_anywhere() -> None:
    (first,) = chain(1)
    ranges = {"a": (2, 4), "b": (1, 2), "c": (40, 50)}
    verify_chain([first, JournalRecord(1, first.digest(), ranges, 3, "in", 1, "out", "code")], "j[0]")


def test_a_record_is_the_same_after_the_journal_topic() -> None:
    for record in chain(2):
        again = journal.decode(record.encode(), "j[0]@0")
        assert again == record
        assert again.digest() == record.digest()


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b'{"sequence": "x"}', b"[1]"])
def test_what_is_no_journal_record_is_told_with_its_place(value: bytes) -> None:
    with pytest.raises(JournalMismatch) as caught:
        journal.decode(value, "j[0]@7")
    assert caught.value.where == "j[0]@7"


records = st.builds(
    Record, st.integers(0, 9), st.integers(0, 9), st.none() | st.binary(max_size=3), st.none() | st.binary(max_size=3)
)
taken = st.lists(st.tuples(st.integers(0, 1), records), max_size=3)


@given(taken, taken)
def test_only_equal_inputs_have_equal_digests(left: list[tuple[int, Record]], right: list[tuple[int, Record]]) -> None:
    equal = journal.input_digest(Batch((), left)) == journal.input_digest(Batch((), right))
    assert equal == (left == right)


outputs = st.lists(
    st.builds(
        Output,
        st.sampled_from(["drift", "rejects"]),
        st.none() | st.binary(max_size=3),
        st.binary(max_size=3),
        st.integers(0, 9),
    ),
    max_size=3,
)


@given(outputs, outputs)
def test_only_equal_outputs_have_equal_digests(left: list[Output], right: list[Output]) -> None:
    equal = journal.output_digest(left) == journal.output_digest(right)
    assert equal == (left == right)
