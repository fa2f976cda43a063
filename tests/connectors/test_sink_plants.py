"""Rows 17, 20, 21 and 29: each protection of the sinks taken out, and the test that fails then, for that reason.

python -m pytest tests/connectors/test_sink_plants.py -k files-written-in-place
"""

import itertools
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors import warehouse
from connectors.sinks import files, parquet, runner
from connectors.sinks.parquet import ParquetSink
from tests.connectors import test_parquet_sink as sinks
from tests.connectors import test_sink_runner as runners
from tests.connectors import test_warehouse as warehouses
from tests.connectors.test_sink_runner import topic
from tests.connectors.test_warehouse import root

__all__ = ["root", "topic"]  # the fixtures of the tests that are called here

Plant = Callable[[pytest.MonkeyPatch], None]


def files_written_in_place(patch: pytest.MonkeyPatch) -> None:
    """A file grows under its own name."""

    def write(path: Path, rows: pa.Table, next_offset: int) -> bool:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows.replace_schema_metadata({files.NEXT_OFFSET: str(next_offset)}), path)
        return True

    patch.setattr(parquet, "write_bucket", write)


def full_disk_not_expected(patch: pytest.MonkeyPatch) -> None:
    """A write that fails ends the sink."""
    patch.setattr(runner, "OSError", type("Never", (Exception,), {}), raising=False)


def reading_not_paused(patch: pytest.MonkeyPatch) -> None:
    """While the disk takes nothing, memory fills."""
    block = runner._Loop._block

    def without(self: Any, blocked: bool) -> None:
        self._owned, owned = {}, self._owned
        block(self, blocked)
        self._owned = owned

    patch.setattr(runner._Loop, "_block", without)


def broken_files_trusted(patch: pytest.MonkeyPatch) -> None:
    """A file that is there is taken for whole."""
    patch.setattr(ParquetSink, "_covered", lambda self, path: int(path.stem) + self.bucket_offsets * path.exists())


def files_named_anew(patch: pytest.MonkeyPatch) -> None:
    """Each process has file names of its own, not those of the offsets."""
    made, count = ParquetSink.__init__, itertools.count()
    process = 0

    def another(self: ParquetSink, *args: Any) -> None:
        nonlocal process
        made(self, *args)
        process = next(count)

    patch.setattr(ParquetSink, "__init__", another)
    patch.setattr(parquet, "_path", lambda folder, start: folder / f"{start + process:020d}.parquet")


def committed_before_written(patch: pytest.MonkeyPatch) -> None:
    """What was read is committed, be it on the disk or not."""
    patch.setattr(ParquetSink, "next_offset_to_commit", lambda self, part: self._writers[part].next_offset)


def warehouse_written_in_place(patch: pytest.MonkeyPatch) -> None:
    """The views are changed in the DuckDB file itself."""

    def build(folder: Path) -> bool:
        with duckdb.connect(warehouse.warehouse_path(folder)) as connection:
            warehouse._define(connection, warehouse._definitions(folder))
        return True

    patch.setattr(warehouse, "build", build)


def warehouse_needed_for_queries(patch: pytest.MonkeyPatch) -> None:
    """A query waits for nobody: the file is opened, or it fails."""

    def open_it(folder: Path) -> duckdb.DuckDBPyConnection:
        warehouse.build(folder)
        return duckdb.connect(warehouse.warehouse_path(folder), read_only=True)

    patch.setattr(warehouse, "_open", open_it)


class Breaks(NamedTuple):
    """Which test fails with a plant, how, and what it says."""

    plant: Plant
    test: Callable[..., None]
    says: str
    error: type[Exception] = AssertionError


held = warehouses.test_a_person_holds_the_file_open_and_all_goes_on
TABLE = [
    Breaks(files_written_in_place, sinks.test_a_full_disk_loses_nothing_and_shows_nothing_partial, "nothing partial"),
    Breaks(full_disk_not_expected, runners.test_a_full_disk_pauses_and_resumes, "No space left", OSError),
    Breaks(reading_not_paused, runners.test_a_full_disk_pauses_and_resumes, "nothing is read while it is full"),
    Breaks(broken_files_trusted, sinks.test_a_truncated_file_is_quarantined_and_made_again, "is read again"),
    Breaks(files_named_anew, sinks.test_a_kill_between_rename_and_commit_doubles_nothing, "all rows were there"),
    Breaks(
        committed_before_written,
        sinks.test_full_buckets_are_committed_and_the_open_one_is_not,
        "nothing is on disk yet",
    ),
    Breaks(warehouse_written_in_place, held, "Could not set lock", duckdb.IOException),
    Breaks(warehouse_needed_for_queries, held, "Could not set lock", duckdb.IOException),
]


@pytest.mark.parametrize("breaks", TABLE, ids=lambda breaks: breaks.plant.__name__.replace("_", "-"))
def test_without_its_protection_the_test_of_a_fault_fails(
    breaks: Breaks, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    given = {name: request.getfixturevalue(name) for name in signature(breaks.test).parameters}
    breaks.plant(monkeypatch)
    with pytest.raises(breaks.error, match=breaks.says):
        breaks.test(**given)


def test_every_plant_says_what_is_missing_and_is_in_the_guarantees() -> None:
    guarantees = Path("docs/guarantees.md").read_text()
    for breaks in TABLE:
        assert breaks.plant.__doc__
        assert f"`{breaks.plant.__name__.replace('_', '-')}`" in guarantees
