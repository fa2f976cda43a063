"""``riverrun trace``: an event is followed through a real pipeline, in the warehouse and beyond it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from infra.cli.trace import shown
from infra.trace import Rejected, Source, Trace, Traced
from streams.records import Verdict
from tests.faults.real import Real, iso

HOSTILE = "a\"b'c é \x1b[31m [red] ?"


def told(made: Real, *arguments: str, servers: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.cli", *arguments]
    env = {"RIVERRUN_HOME": str(made.home), "RIVERRUN_BOOTSTRAP_SERVERS": servers or made.servers}
    inherited = {"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0", "COLUMNS": "200"}
    return subprocess.run(command, env=inherited | env, capture_output=True, text=True, timeout=120, check=False)


def traced(made: Real, event_id: str) -> dict[str, Any]:
    done = told(made, "trace", "--json", "--", event_id)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def event(made: Real, name: str, x: float = 1.0) -> bytes:
    return json.dumps({"id": name, "shop": "shop 0", "at": iso(made.at_ms + 1_000), "x": x}).encode()


def label(made: Real, name: str) -> bytes:
    return json.dumps({"id": name, "shop": "shop 0", "at": iso(made.at_ms + 1_000), "large": True}).encode()


@pytest.fixture
def made(real: Callable[..., Real]) -> Real:
    """Forty events in the warehouse; "late", scored, and "waiting", not labelled, in the topics only."""
    made = real()
    made.publish(40)
    made.send_raw("asked", event(made, HOSTILE))
    made.send_raw("answered", label(made, HOSTILE))
    made.send_raw("asked", event(made, HOSTILE))  # a second time
    made.send_raw("answered", label(made, "nobody"))
    made.worker("1")
    made.close()
    made.until_done()
    sink = told(made, "sink", str(made.file), "--once")
    assert sink.returncode == 0, sink.stderr
    made.send_raw("asked", event(made, "late"))
    made.send_raw("answered", label(made, "late"))
    for name in ("waiting", "closing soon"):  # close() would let the label's time run out
        made.send_raw("asked", event(made, name))
    made.send_raw("answered", label(made, "closing soon"))
    made.until_done()
    return made


@pytest.mark.broker
def test_an_event_is_followed_from_its_input_to_its_label(made: Real) -> None:
    found = traced(made, HOSTILE)
    (one,) = found["events"]
    assert json.loads(one["event"]["value"])["id"] == HOSTILE
    assert one["event"]["topic"] == f"{made.name}-asked"
    assert one["features"]["x"] == 1.0
    assert [(each["model"], each["role"]) for each in one["said"]] == [("logistic", "champion"), ("tree", "challenger")]
    assert (one["status"], one["label"]) == ("scored", True)
    assert one["label_time_ms"] - one["event_time_ms"] == one["label_delay_ms"] == 1_000
    assert json.loads(one["label_record"]["value"])["large"] is True
    (reject,) = found["rejects"]
    assert reject["reason"] == "duplicate_event"
    (orphan,) = traced(made, "nobody")["rejects"]
    assert orphan["reason"] == "orphan_label"


@pytest.mark.broker
def test_what_the_sink_has_not_written_is_found_in_the_topics(made: Real) -> None:
    (late,), (waiting,) = traced(made, "late")["events"], traced(made, "waiting")["events"]
    assert (late["status"], late["label"], len(late["said"])) == ("scored", True, 2)
    assert json.loads(late["label_record"]["value"])["id"] == "late"
    assert (waiting["status"], waiting["label"], waiting["features"]["x"]) == ("waits", None, 1.0)
    told_of = told(made, "trace", "event 3", servers="127.0.0.1:1")
    assert told_of.returncode == 0, told_of.stderr
    assert "The topics were not looked through" in told_of.stdout
    unknown = told(made, "trace", "event 4711")
    assert unknown.returncode == 2
    assert "no event 'event 4711' was found (in the warehouse of" in unknown.stderr


def test_text_from_events_neither_styles_nor_steers_the_terminal() -> None:
    verdict = Verdict("logistic", "1", "champion", True, 0.75, None)
    event = Traced(Source("in", 0, 7, 0, None, "[red]\x1b[31m"), 0, {"x": 0.5}, [verdict], "expired")
    reject = Rejected("flights.rejects[0]@1", event.event, "json", "$.x", "no\x07 JSON")
    console = Console(width=160, record=True, force_terminal=True, color_system=None, file=StringIO())
    console.print(shown(Trace("flights", "\x1b[2J", [event], [reject])))
    text = console.export_text()
    for part in (r"[red]\x1b[31m", r"event \x1b[2J", r"no\x07 JSON", "P(true) 0.75", "no label came in time"):
        assert part in text, text
