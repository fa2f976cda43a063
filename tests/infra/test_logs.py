"""Logs of real roles as JSON: every line an object, with the fields to look for."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra import decisions
from infra.logs import log_to_stderr
from tests.faults.real import Real

JSON = {"RIVERRUN_LOG_FORMAT": "json"}


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def said(log: Path, name: str) -> list[dict[str, Any]]:
    return [line for line in lines(log) if line["logger"] == f"riverrun.{name}"]


@pytest.mark.broker
def test_lines_of_a_worker_have_pipeline_task_offsets_and_versions(real: Callable[..., Real]) -> None:
    made = real()
    made.publish(40)
    worker = made.worker(more=JSON, arguments=["--metrics-port", "0"])
    made.close()
    made.until_done()
    decided = decisions.new_decision("promote", "tree", why="it is better", by="me")
    decisions.send(made.config, made.pipeline, decided)
    made.until(lambda: said(made.log(), "decisions"))
    worker.send_signal(signal.SIGKILL)
    worker.wait(20)
    made.worker(more=JSON)
    made.until(lambda: len(said(made.log(), "worker")) == 2)
    for line in lines(made.log()):
        assert (line["pipeline"], line["role"], line["id"]) == (made.name, "worker", "1")
        assert datetime.now(UTC) - datetime.fromisoformat(line["time"]) < timedelta(minutes=5)
    _, back = said(made.log(), "worker")
    assert back["level"] == "INFO"
    assert back["message"].startswith("task 0 is back after")
    assert (back["task"], back["offsets"].keys()) == (0, set(made.pipeline.topics_read))
    assert back["versions"].keys() == {"logistic", "tree"}
    (decision,) = said(made.log(), "decisions")
    assert decision.items() >= {"action": "promote", "model": "tree", "by": "me", "obeyed": True}.items()
    assert decision["topic"] == made.pipeline.topic("control")


def test_an_error_is_a_line_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.cli", "sink", "examples/flights/flights.py", "--once"]
    env = {"PATH": "/usr/bin:/bin", "RIVERRUN_HOME": str(tmp_path), **JSON}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    (line,) = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (line["level"], line["message"]) == ("CRITICAL", "no Kafka broker runs here")
    assert "riverrun broker start" in line["remedy"]


@pytest.fixture
def heard(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What was written to standard error; logging is as it was afterwards."""
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = list(root.handlers), root.level
    root.handlers = []
    yield lambda: capsys.readouterr().err
    root.handlers, sys.excepthook = handlers, hook
    root.setLevel(level)


def test_text_of_others_begins_no_line(heard: Callable[[], str]) -> None:
    log_to_stderr("text")
    logging.getLogger("riverrun.models").warning("%s", "bad\n2026-01-01 ERROR forged \x1b[31m")
    assert heard()[24:] == " WARNING riverrun.models: bad\\n2026-01-01 ERROR forged \\x1b[31m\n"


def test_what_nobody_caught_is_one_line_of_json(heard: Callable[[], str]) -> None:
    log_to_stderr("json", pipeline="flights")
    sys.excepthook(ZeroDivisionError, ZeroDivisionError("by\udc80"), None)
    (line,) = heard().splitlines()
    assert json.loads(line)["exc_info"].startswith("ZeroDivisionError: by")
    assert json.loads(line)["pipeline"] == "flights"
