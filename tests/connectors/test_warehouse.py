"""Anyone can query while the sinks write, and nobody's SQL reaches further than the warehouse."""

import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from connectors import warehouse
from connectors.sinks.parquet import ParquetSink, Part
from streams.errors import Declined
from streams.ports import Record
from streams.records import (
    Count,
    FeatureCounts,
    FeaturesRecord,
    MetricsRecord,
    ModelScores,
    OutcomeRecord,
    PredictionRecord,
    RejectRecord,
    ScoreCounts,
    ScoreValues,
    Verdict,
)

AT = ("UA-1545", 1_357_016_400_000, "flights.departures", 0, 7)  # 2013-01-01 05:00 UTC
TREE = Verdict("tree", "1", "challenger", False, 0.25, None)


def write(sink: ParquetSink, table: str, *rows: object, start: int = 0) -> None:
    part = Part(table, f"flights.{table}", 0)
    sink.open(part, start)
    values = [row if isinstance(row, bytes) else msgspec.json.encode(row) for row in rows]
    sink.write(part, [Record(start + i, 5_000, b"EWR", value) for i, value in enumerate(values)])
    sink.flush(part)
    sink.close(part)


def features(**values: object) -> FeaturesRecord:
    return FeaturesRecord(*AT, values)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "flights" / "parquet"
    sink = ParquetSink(root, "binary", bucket_offsets=10)
    write(sink, "features", features(dep_delay_min=3.5, carrier="UA"))
    write(sink, "predictions", PredictionRecord(*AT, "logistic", "1", "champion", True, 0.75, None, [TREE]))
    said = ("logistic", "1", "champion", True, 0.75, None, [TREE])
    write(sink, "outcomes", OutcomeRecord(*AT, *said, "scored", False, 1_357_020_000_000, 3_600_000, "arrivals", 9))
    write(
        sink, "rejects", RejectRecord("flights.departures", 0, 9, 5_000, "json", "", "bad", 5, True, b"EWR", b"\xff{")
    )
    write(sink, "inputs", b'{"carrier":"UA"}')
    counts = ScoreCounts(3, [], 2**23, [], [], [], [4.5, 1e-17], [0.0], [0.0], [0.0])
    values = ScoreValues(3, 0.5, *[None] * 8)
    scores = ModelScores("logistic", "1", "champion", 0, counts, values, values)
    delays = {"label_delay_bounds_ms": [1_000], "label_delay_counts": [0, 3], "label_delay_sum_ms": 9_000}
    carriers = FeatureCounts("carrier", 2, 1, [513], [1], [Count("UA", 1)])
    spread = {"predicted": 3, "features": [carriers], "features_end": None}
    flights = [Count("flights", 3)]
    write(
        sink, "metrics", MetricsRecord(0, 0, 4, 0, 60_000, flights, [], [], [], 2, **delays, **spread, models=[scores])
    )
    return root


def rows(root: Path, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in warehouse.query(root, sql).to_pylist()]


def test_one_row_an_event_and_model(root):
    said = [("logistic", "champion", True, 0.75), ("tree", "challenger", False, 0.25)]
    assert rows(root, "SELECT model, role, prediction, probability FROM predictions ORDER BY model") == said
    sql = "SELECT model, correct, label, label_delay_ms FROM outcomes ORDER BY model"
    assert rows(root, sql) == [("logistic", False, False, 3_600_000), ("tree", True, False, 3_600_000)]
    assert rows(root, 'SELECT event_time::VARCHAR, "offset" FROM outcomes LIMIT 1') == [("2013-01-01 05:00:00+00", 7)]


def test_metrics_reports_rejects_and_inputs_read_as_people_expect(root):
    sql = "SELECT task, model, n, cumulative_accuracy, sliding_n FROM metrics"
    assert rows(root, sql) == [(0, "logistic", 3, 0.5, 3)]
    assert rows(root, "SELECT counts.log_loss_units, counts.abs_error_sum[1] FROM metrics") == [(2**23, 4.5)]
    assert rows(root, "SELECT records['flights'], pending_labels FROM reports") == [(3, 2)]
    sql = "SELECT feature, predicted, n, missing, buckets, counts, values['UA'] FROM distributions"
    assert rows(root, sql) == [("carrier", 3, 2, 1, [513], [1], 1)]
    assert rows(root, "SELECT key_text, value, value_text FROM rejects") == [("EWR", b"\xff{", None)]
    assert rows(root, "SELECT value_text->>'carrier', record_time::VARCHAR FROM inputs") == [
        ("UA", "1970-01-01 00:00:05+00")
    ]


def test_every_column_says_what_it_means(root):
    described = {view.name: view for view in warehouse.describe(root)}
    assert set(described) == {
        *("features", "predictions", "outcomes", "metrics", "reports", "distributions"),
        *("drift", "decisions", "alerts", "rejects", "inputs"),
    }
    assert all(view.comment and all(column.comment for column in view.columns) for view in described.values())


def test_a_new_feature_rebuilds_the_views_and_an_old_one_keeps_its_place(root):
    assert warehouse.build(root)
    assert not warehouse.build(root), "nothing changed"
    write(ParquetSink(root, "binary", 10), "features", features(night=True, dep_delay_min="many"), start=10)
    assert warehouse.build(root)
    assert rows(root, "SELECT dep_delay_min, carrier, night FROM features ORDER BY _offset") == [
        ("3.5", "UA", None),
        ("many", None, True),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_text('{root}/../outside')",
        "COPY (SELECT 1) TO '{root}/features/p=0/evil.parquet'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{root}/features/p=0/evil.parquet'",
        "WITH x AS (COPY (SELECT 1) TO '{root}/evil.parquet') SELECT 1",
        "SELECT (WITH x AS (COPY (SELECT 1) TO '{root}/evil.parquet') SELECT 1)",
        "FROM query('WITH x AS (COPY (SELECT 1) TO ''{root}/evil.parquet'') SELECT 1')",
        "FROM json_execute_serialized_sql(json_serialize_sql('WITH x AS (COPY (SELECT 1) TO ''{root}/e'') SELECT 1'))",
        "EXPORT DATABASE '{root}/evil'",
        "ATTACH '{root}/evil.db'",
        "SET enable_external_access = true",
        "SELECT 1; SELECT 2",
        "CREATE TABLE mine (a INT)",
        "INSTALL httpfs",
        "",
    ],
)
def test_sql_that_reaches_outside_is_declined(root, sql, tmp_path):
    (root.parent / "outside").write_text("secret")
    warehouse.build(root)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Declined):
        warehouse.query(root, sql.format(root=root))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "sql",
    [
        "WITH late AS (SELECT * FROM outcomes WHERE label) SELECT count(*) FROM late",
        "SELECT model, count(*) FILTER (correct) FROM outcomes GROUP BY ALL UNION ALL SELECT 'x', 1",
        "DESCRIBE features",
        "SUMMARIZE features",
        "SHOW TABLES",
        "FROM histogram(outcomes, label_delay_ms)",
        "SELECT * FROM features ASOF JOIN outcomes USING (event_id, event_time)",
        "SELECT time_bucket(INTERVAL 1 DAY, event_time) AS day, avg(correct::INT) FROM outcomes GROUP BY day",
        "PIVOT predictions ON model IN ('tree', 'logistic') USING avg(probability) GROUP BY event_id",
        "WITH RECURSIVE t AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM t WHERE a < 3) FROM t",
        "VALUES (1)",
    ],
)
def test_what_analysts_write_runs(root, sql):
    assert warehouse.query(root, sql).num_rows >= 0


def test_an_unknown_view_names_those_there_are(root):
    with pytest.raises(Declined, match="views are features, predictions"):
        warehouse.query(root, "FROM prediction")


def test_before_any_sink_ran_there_is_a_remedy(tmp_path):
    with pytest.raises(Declined, match="riverrun sink"):
        warehouse.query(tmp_path, "FROM features")


HOLD = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("CREATE TABLE mine (a INT)")
print("held", flush=True)
input()
"""


def test_a_person_holds_the_file_open_and_all_goes_on(root):
    warehouse.build(root)
    path = warehouse.warehouse_path(root)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as person:
        assert person.stdout.readline() == "held\n"
        assert rows(root, "SELECT count(*) FROM features") == [(1,)]
        with pytest.raises(Declined):
            warehouse.query(root, "FROM '/etc/hostname'")
        write(ParquetSink(root, "binary", 10), "features", features(night=True), start=10)
        assert warehouse.build(root), "a new feature: the file is replaced under the person's hands"
        assert rows(root, "SELECT count(*), count(night) FROM features") == [(2, 1)]
        person.communicate("\n")
    assert rows(root, "SELECT count(*) FROM features") == [(2,)]


COUNT = """
import duckdb, sys
seen = 0
while seen < 200:
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        count, distinct = connection.execute("SELECT count(*), count(DISTINCT _offset) FROM features").fetchone()
    assert count == distinct, "a row is doubled"
    assert count >= seen, "rows went away"
    seen = count
"""


def test_another_process_queries_while_a_sink_writes(root):
    warehouse.build(root)
    sink, part = ParquetSink(root, "binary", 10), Part("features", "flights.features", 1)
    sink.open(part, None)
    with subprocess.Popen(
        [sys.executable, "-c", COUNT, str(warehouse.warehouse_path(root))], stderr=subprocess.PIPE
    ) as reader:
        done = threading.Event()
        threading.Thread(target=lambda: (reader.wait(), done.set()), daemon=True).start()
        offset = 1
        while not done.is_set():
            row = msgspec.json.encode(features(dep_delay_min=1.0))
            sink.write(part, [Record(offset, 5, None, row)])
            sink.flush(part)
            offset += 1
        assert reader.returncode == 0, reader.stderr.read().decode()
