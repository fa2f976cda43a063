"""``riverrun sql`` as people type it."""

import csv
import json

import msgspec
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from connectors.sinks.parquet import ParquetSink, Part
from infra.cli.sql import sql
from streams.errors import Declined
from streams.ports import Record
from streams.records import FeaturesRecord

app = typer.Typer()
app.command()(sql)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RIVERRUN_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    fill(tmp_path, "flights", 60)
    return tmp_path


def fill(home, pipeline, count):
    sink, part = ParquetSink(home / pipeline / "parquet", "binary"), Part("features", f"{pipeline}.features", 0)
    rows = [FeaturesRecord(f"e{i}", i, "in", 0, i, {"x": i / 2, "note": "[red]\x1b[31m"}) for i in range(count)]
    sink.open(part, None)
    sink.write(part, [Record(i, i, b"k", msgspec.json.encode(row)) for i, row in enumerate(rows)])
    sink.flush(part)


def run(*arguments):
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_without_a_query_it_lists_the_views_and_what_columns_mean(home):
    output = run().stdout
    assert "outcomes: Predictions joined with their labels" in output
    assert "identity of the event" in output


def test_a_table_for_people_is_cut_and_says_so(home):
    output = run("SELECT event_id, event_time, x, note FROM features ORDER BY _offset").stdout
    assert "e49" in output
    assert "e50" not in output
    assert "The first 50 rows" in output
    assert "1970-01-01 00:00:00.001" in output
    assert r"[red]\x1b[31m" in output, "text from events can neither style nor steer the terminal"


def test_json_csv_and_parquet_have_all_rows(home, tmp_path):
    query = "SELECT event_id, x, [x, 1] AS pair FROM features ORDER BY _offset"
    lines = [json.loads(line) for line in run(query, "--format", "json").stdout.splitlines()]
    assert lines[3] == {"event_id": "e3", "x": 1.5, "pair": [1.5, 1.0]}
    rows = list(csv.reader(run(query, "--format", "csv").stdout.splitlines()))
    assert (len(rows), rows[4]) == (61, ["e3", "1.5", "[1.5,1.0]"])
    run(query, "--format", "parquet", "--out", str(tmp_path / "out.parquet"))
    assert pq.read_table(tmp_path / "out.parquet").num_rows == len(lines) == 60


def test_which_pipeline_is_asked_only_if_there_are_several(home):
    fill(home, "taxis", 1)
    with pytest.raises(Declined, match="flights, taxis"):
        run("SELECT 1")
    assert json.loads(run("SELECT count(*) AS n FROM features", "-p", "taxis", "-f", "json").stdout) == {"n": 1}
    with pytest.raises(Declined, match="no data of 'trains'"):
        run("SELECT 1", "-p", "trains")
