"""``riverrun publish`` and ``riverrun tail`` as people type them."""

import json

import pytest
import typer
from kafka.partitioner.default import murmur2
from typer.testing import CliRunner

from infra.cli.publish import publish
from infra.cli.tail import tail
from streams.errors import Declined

pytestmark = pytest.mark.broker
app = typer.Typer()
app.command()(publish)
app.command()(tail)
PARTITIONS = 3


@pytest.fixture
def topic(broker, fresh_name, monkeypatch):
    from confluent_kafka.admin import AdminClient, NewTopic

    monkeypatch.setenv("RIVERRUN_BOOTSTRAP_SERVERS", broker)
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(fresh_name, PARTITIONS, 1, config={"retention.ms": "-1"})])[fresh_name].result()
    return fresh_name


def run(*arguments, stdin=None):
    result = CliRunner().invoke(app, list(arguments), input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def records(*arguments):
    return [json.loads(line) for line in run("tail", *arguments).stdout.splitlines()]


def test_what_is_published_is_seen_with_key_time_and_place(topic, tmp_path):
    events = [
        {"origin": origin, "at": f"2013-01-0{i}T05:00:00Z", "n": i} for i, origin in enumerate(["EWR", "JFK", "é"], 1)
    ]
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(json.dumps(event) for event in events) + "\n")
    result = run("publish", topic, str(file), "--key", "origin", "--timestamp", "at")
    assert "3 records published" in result.stderr
    seen = sorted(records(topic, "--no-follow"), key=lambda record: record["value"]["n"])
    assert [record["value"] for record in seen] == events
    assert [record["key"] for record in seen] == ["EWR", "JFK", "é"]
    assert [record["timestamp_ms"] for record in seen] == [1_357_016_400_000 + day * 86_400_000 for day in range(3)]
    for record in seen:
        assert record["partition"] == (murmur2(record["key"].encode()) & 0x7FFFFFFF) % PARTITIONS


def test_standard_input_conditions_and_counts(topic):
    lines = "".join(json.dumps({"n": n, "ok": n % 2 == 0, "in": {"a": str(n % 3)}}) + "\n" for n in range(12))
    run("publish", topic, "-", "--key", "n", stdin=lines)
    even = records(topic, "--no-follow", "--where", "ok=true", "--where", "in.a=0")
    assert sorted(record["value"]["n"] for record in even) == [0, 6]
    assert len(records(topic, "--from-beginning", "-n", "5")) == 5


def test_a_line_that_is_no_json_stops_it_and_names_the_line(topic):
    with pytest.raises(Declined, match="line 2"):
        run("publish", topic, stdin='{"n": 1}\n{"n": \n')
    assert len(records(topic, "--no-follow")) == 1, "what came before is out"


def test_a_topic_that_is_not_there_has_a_remedy(topic):
    with pytest.raises(Declined, match="riverrun topics"):
        run("publish", f"{topic}-not", stdin="{}")
    with pytest.raises(Declined, match="riverrun topics"):
        run("tail", f"{topic}-not", "--no-follow")
