"""A bucket's file depends on offsets alone, whatever flushes, crashes and disks do."""

import errno
from pathlib import Path

import duckdb
import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sinks import files
from connectors.sinks.parquet import ParquetSink, Part
from streams.errors import Declined
from streams.ports import Record
from streams.records import FeaturesRecord

INPUT, FEATURES = Part("inputs", "flights.departures", 0), Part("features", "flights.features", 3)
BUCKET = 10


def feature(offset, **features):
    row = FeaturesRecord(f"UA-{offset}", 1_000 + offset, "flights.departures", 0, offset, features)
    return Record(offset, 1_000 + offset, b"EWR", msgspec.json.encode(row))


def raw(first, end):
    return [Record(offset, 1_000, b"k", b"value %d" % offset) for offset in range(first, end)]


def offsets(root: Path, table="inputs"):
    column = "offset" if table == "inputs" else "_offset"
    sql = f'select "{column}" from read_parquet($${root}/{table}/**/*.parquet$$, union_by_name=true) order by all'
    return [row[0] for row in duckdb.sql(sql).fetchall()]


def restarted(root: Path, part: Part, log: list[Record], committed):
    """A new process: opens the partition and reads on from where the sink says."""
    sink = ParquetSink(root, "binary", BUCKET)
    start = sink.open(part, committed)
    return sink, [record for record in log if record.offset >= start]


def test_full_buckets_are_committed_and_the_open_one_is_not(tmp_path):
    sink = ParquetSink(tmp_path, "binary", BUCKET)
    assert sink.open(INPUT, None) == 0
    sink.write(INPUT, raw(0, 25))
    assert sink.next_offset_to_commit(INPUT) == 0, "nothing is on disk yet"
    assert sink.flush(INPUT).rows == 25
    assert sink.next_offset_to_commit(INPUT) == 20
    assert sorted(path.name for path in tmp_path.rglob("0*.parquet")) == [f"{n:020d}.parquet" for n in (0, 10, 20)]
    assert offsets(tmp_path) == list(range(25))


def test_full_buckets_can_be_written_without_the_open_one(tmp_path):
    sink, todo = restarted(tmp_path, INPUT, raw(0, 25), None)
    sink.write(INPUT, todo)
    assert sink.flush(INPUT, open_too=False).rows == 20
    assert (sink.next_offset_to_commit(INPUT), offsets(tmp_path)) == (20, list(range(20)))
    assert sink.flush(INPUT).rows == 5
    assert offsets(tmp_path) == list(range(25))


def test_a_kill_between_rename_and_commit_doubles_nothing(tmp_path):
    log = raw(0, 25)
    sink, todo = restarted(tmp_path, INPUT, log, None)
    sink.write(INPUT, todo)
    sink.flush(INPUT)  # and here the process dies: offset 0 is what is committed
    sink, todo = restarted(tmp_path, INPUT, log, None)
    sink.write(INPUT, todo)
    assert sink.flush(INPUT).rows == 0, "all rows were there"
    assert offsets(tmp_path) == list(range(25))


def test_catching_up_after_a_crash_never_shows_fewer_rows(tmp_path):
    log = raw(0, 8)
    sink, todo = restarted(tmp_path, INPUT, log, None)
    sink.write(INPUT, todo)
    sink.flush(INPUT)
    sink, todo = restarted(tmp_path, INPUT, log, 0)
    sink.write(INPUT, todo[:3])
    sink.flush(INPUT)
    assert offsets(tmp_path) == list(range(8))
    sink.write(INPUT, raw(3, 9))
    assert sink.flush(INPUT).rows == 1
    assert offsets(tmp_path) == list(range(9))


def test_a_replaced_process_that_wakes_up_cannot_put_old_rows_over_new_ones(tmp_path):
    zombie, todo = restarted(tmp_path, INPUT, raw(0, 3), None)
    zombie.write(INPUT, todo)
    successor, todo = restarted(tmp_path, INPUT, raw(0, 12), None)
    successor.write(INPUT, todo)
    successor.flush(INPUT)
    zombie.flush(INPUT)
    assert offsets(tmp_path) == list(range(12))


def test_a_truncated_file_is_quarantined_and_made_again(tmp_path):
    log = raw(0, 35)
    sink, todo = restarted(tmp_path, INPUT, log, None)
    sink.write(INPUT, todo)
    sink.flush(INPUT)
    broken = next(tmp_path.rglob(f"{10:020d}.parquet"))
    broken.write_bytes(broken.read_bytes()[:-7])
    sink, todo = restarted(tmp_path, INPUT, log, committed=30)
    assert todo[0].offset == 10, "the broken bucket is read again"
    assert offsets(tmp_path) == [*range(10), *range(20, 35)], "queries go on meanwhile"
    sink, todo = restarted(tmp_path, INPUT, log, committed=30)  # killed before it could mend anything
    sink.write(INPUT, todo)
    assert sink.flush(INPUT).rows == 10
    assert offsets(tmp_path) == list(range(35))
    assert [p.name for p in (tmp_path / "quarantine").rglob("*.parquet")] == [broken.name]


def test_rows_that_kafka_has_forgotten_stay(tmp_path):
    sink, todo = restarted(tmp_path, FEATURES, [feature(o, delay=1.0, late=True) for o in range(6)], None)
    sink.write(FEATURES, todo)
    sink.flush(FEATURES)
    sink, todo = restarted(tmp_path, FEATURES, [feature(o, delay=2.0) for o in range(4, 8)], 0)  # 0 to 3 are gone
    sink.write(FEATURES, todo)
    sink.flush(FEATURES)
    rows = pq.read_table(tmp_path / "features" / "p=3" / f"{0:020d}.parquet")
    assert rows["_offset"].to_pylist() == list(range(8))
    assert rows["delay"].to_pylist() == [1.0] * 4 + [2.0] * 4


def test_a_full_disk_loses_nothing_and_shows_nothing_partial(tmp_path, monkeypatch):
    sink, todo = restarted(tmp_path, INPUT, raw(0, 12), None)
    sink.write(INPUT, todo)
    write_table = pq.write_table

    for rows_that_fit in (-1, 0):  # first not even the table of no rows, which tells the columns

        def no_space(rows, path, fit=rows_that_fit, **kwargs):
            if rows.num_rows <= fit:
                return write_table(rows, path, **kwargs)
            path.write_bytes(b"PAR1 and no more")
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as full:
            full.setattr(files.pq, "write_table", no_space)
            with pytest.raises(OSError, match="No space"):
                sink.flush(INPUT)
        there = {p.name for p in tmp_path.rglob("*") if p.is_file()}
        assert there <= {"layout.json", ".lock", files.ANCHOR}, "nothing partial"
    assert sink.flush(INPUT).rows == 12
    assert offsets(tmp_path) == list(range(12))


def test_a_record_that_cannot_be_read_is_set_aside_and_counted(tmp_path):
    sink, _ = restarted(tmp_path, FEATURES, [], None)
    bad = [b"{", b"", None, b"\xff", b"[" * 100_000, b'{"event_id": 5}', b'{"event_id":"\\ud800"}']
    sink.write(FEATURES, [feature(0), *(Record(o, 1, None, v) for o, v in enumerate(bad, 1)), feature(8)])
    flushed = sink.flush(FEATURES)
    assert (flushed.rows, flushed.unreadable) == (2, len(bad))
    aside = pq.read_table(tmp_path / "quarantine" / "records" / "features" / "p=3" / f"{0:020d}.parquet")
    assert aside["value"].to_pylist() == bad
    assert offsets(tmp_path, "features") == [0, 8]


def test_a_feature_that_changes_its_type_falls_back_to_the_wider_one(tmp_path):
    sink, _ = restarted(tmp_path, FEATURES, [], None)
    rows = [feature(0, a=True, b=1, topic="x", none=None), feature(1, a=0.5, b="many", topic="y"), feature(2, a=10**20)]
    sink.write(FEATURES, rows)
    sink.flush(FEATURES)
    file = pq.read_table(tmp_path / "features" / "p=3" / f"{0:020d}.parquet")
    assert file["a"].to_pylist() == [1.0, 0.5, 1e20]
    assert file["b"].to_pylist() == ["1", "many", None]
    assert file["topic_"].to_pylist() == ["x", "y", None], "a name that is taken"
    assert "none" not in file.column_names, "it has no type yet"


@pytest.mark.parametrize("change", [{"kind": "regression"}, {"bucket_offsets": 11}])
def test_another_layout_in_the_same_folder_is_declined(tmp_path, change):
    settings_then = {"kind": "binary", "bucket_offsets": 10}
    ParquetSink(tmp_path, **settings_then)
    with pytest.raises(Declined, match="move the folder away"):
        ParquetSink(tmp_path, **{**settings_then, **change})


@pytest.mark.parametrize("topic", ["", ".", "..", "a\0b"])
def test_a_topic_that_leads_out_of_the_folder_is_declined(tmp_path, topic):
    with pytest.raises(Declined):
        ParquetSink(tmp_path, "binary").open(Part("inputs", topic, 0), None)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(-2, 2), st.sampled_from(["a", "1"]))
EVENTS = st.lists(st.tuples(st.integers(1, 7), st.dictionaries(st.sampled_from("abT"), VALUES)), max_size=40)


@settings(max_examples=60)
@given(events=EVENTS, steps=st.lists(st.tuples(st.integers(1, 15), st.sampled_from(["", "flush", "crash", "commit"]))))
def test_any_interleaving_of_flushes_and_restarts_gives_the_same_files(tmp_path_factory, events, steps):
    # gaps between offsets are aborted records and transaction markers
    log, offset = [], 0
    for gap, features in events:
        log.append(feature(offset, **features))
        offset += gap
    calm, stormy = tmp_path_factory.mktemp("calm"), tmp_path_factory.mktemp("stormy")
    sink, todo = restarted(calm, FEATURES, log, None)
    sink.write(FEATURES, todo)
    sink.flush(FEATURES)

    committed = None
    sink, todo = restarted(stormy, FEATURES, log, committed)
    for count, then in steps:
        sink.write(FEATURES, todo[:count])
        todo = todo[count:]
        if then:
            sink.flush(FEATURES)
        if then == "commit":
            committed = sink.next_offset_to_commit(FEATURES)
        if then == "crash":
            sink, todo = restarted(stormy, FEATURES, log, committed)
    sink.write(FEATURES, todo)
    sink.flush(FEATURES)
    assert contents(stormy) == contents(calm)


def contents(root: Path):
    files_ = sorted((root / "features").rglob("0*.parquet"))
    return {str(path.relative_to(root)): (pq.read_schema(path), pq.read_table(path).to_pylist()) for path in files_}
