"""Joins: the reference row of an event's own time, and rows of table files."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import Declined
from streams.joins import HISTORY_MAX, AsOfState, Table
from streams.schema import Event


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30)), max_size=HISTORY_MAX),
    st.lists(st.integers(-1, 31), min_size=1),
)
def test_as_of_is_the_last_row_at_or_before_the_time(rows: list[tuple[str, int]], asked: list[int]) -> None:
    state: AsOfState[int] = AsOfState()
    for place, (key, at) in enumerate(rows):
        state.put(key, at, place)
    for time_ms in asked:
        for key in "ab":
            before = [(at, place) for place, (k, at) in enumerate(rows) if k == key and at <= time_ms]
            assert state.at(key, time_ms) == (max(before)[1] if before else None)


def test_only_the_newest_rows_of_a_key_are_kept() -> None:
    state: AsOfState[int] = AsOfState()
    for at in range(100):
        state.put("a", at, at)
    oldest = 100 - HISTORY_MAX
    assert len(state.rows["a"]) == len(state.times["a"]) == HISTORY_MAX
    assert (state.at("a", oldest), state.at("a", oldest - 1), state.at("a", 1_000)) == (oldest, None, 99)
    state.put("a", 0, -1)  # later than all that are kept: forgotten at once
    assert state.at("a", oldest) == oldest


def test_rows_that_lie_ahead_do_not_push_out_the_one_in_force() -> None:
    # now 100:   row at 90 in force, 40 rows ahead, then the row at 100
    state: AsOfState[int] = AsOfState()
    state.put("a", 90, 90, now_ms=90)
    for at in range(1_000, 1_040):
        state.put("a", at, at, now_ms=95)
    assert state.at("a", 95) == 90
    state.put("a", 100, 100, now_ms=100)
    assert (state.at("a", 95), state.at("a", 100), len(state.times["a"])) == (90, 100, HISTORY_MAX)


class Plane(Event):
    tail: str
    seats: int | None
    maker: Literal["A", "B"] = "A"


def table(path: Path, **options: object) -> Table[Plane]:
    made = Table(path, Plane, key="tail", **options)  # type: ignore[arg-type]
    made.load()
    return made


def write(folder: Path, text: str) -> Path:
    path = folder / "planes.csv"
    path.write_text(text)
    return path


def test_a_csv_file_is_looked_up_by_its_key(tmp_path: Path) -> None:
    planes = table(write(tmp_path, "tail,seats,maker,other\nN1,100,A,x\nN2,,B,y\n"))
    assert planes.get("N1") == Plane(tail="N1", seats=100)
    assert planes.get("N2") == Plane(tail="N2", seats=None, maker="B")
    assert planes.get("N3") is None
    assert planes.get(None) is None


def test_missing_tokens_of_a_csv_file_become_none(tmp_path: Path) -> None:
    path = write(tmp_path, "tail,seats\nN1,NA\n")
    assert table(path, missing=("NA",)).get("N1") == Plane(tail="N1", seats=None)
    with pytest.raises(Declined, match="does not fit Plane"):
        table(path)


def test_texts_that_look_like_numbers_or_dates_stay_texts(tmp_path: Path) -> None:
    planes = table(write(tmp_path, "tail,seats\n00501,1\n2013-01-01,2\n"))
    assert planes.get("00501") == Plane(tail="00501", seats=1)
    assert table(write(tmp_path, "tail,seats\n00501,1\n")).get("00501") is not None
    assert table(write(tmp_path, "tail,seats\n2013-01-01,2\n")).get("2013-01-01") is not None


def test_a_parquet_file_is_looked_up_by_its_key(tmp_path: Path) -> None:
    path = tmp_path / "planes.parquet"
    pq.write_table(pa.table({"tail": ["N1"], "seats": [100], "built": [date(2013, 1, 1)]}), path)
    assert table(path).get("N1") == Plane(tail="N1", seats=100)


def test_a_doubled_key_is_declined(tmp_path: Path) -> None:
    with pytest.raises(Declined, match="tail is not unique"):
        table(write(tmp_path, "tail,seats\nN1,1\nN1,2\n"))


@pytest.mark.parametrize("name", ["none.csv", "none.parquet"])
def test_a_missing_file_is_declined_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(Declined, match=r"is not there .*none"):
        table(tmp_path / name)
    with pytest.raises(Declined, match=r"is not there .*none"):
        Table(tmp_path / name, Plane, key="tail").digest()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("ragged.csv", b"tail,seats\nN1\nN2,1,2\n"),
        ("binary.csv", b"tail,seats\n\xff\xfe,1\n"),
        ("text.parquet", b"not parquet at all"),
        ("cut.parquet", b"PAR1"),
    ],
)
def test_a_file_that_cannot_be_read_is_declined(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Declined, match=r"cannot be read|does not fit"):
        table(tmp_path / name)


@pytest.mark.parametrize("text", ["seats\n1\n", "tail,seats\nN1,many\n", "tail,seats\n,1\n", "tail,maker\nN1,C\n"])
def test_a_file_of_another_shape_is_declined(tmp_path: Path, text: str) -> None:
    with pytest.raises(Declined, match="does not fit Plane"):
        table(write(tmp_path, text))


def test_the_file_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path, "tail,seats\nN1,1\n")
    planes = table(path)
    path.unlink()
    planes.load()
    assert planes.get("N1") is not None


def test_the_digest_is_that_of_the_contents(tmp_path: Path) -> None:
    path = write(tmp_path, "tail,seats\nN1,1\n")
    planes = table(path)
    before = planes.digest()
    write(tmp_path, "tail,seats\nN1,2\n")
    assert planes.digest() != before
