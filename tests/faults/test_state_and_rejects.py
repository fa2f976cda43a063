"""``riverrun state`` and ``riverrun rejects`` as people type them, beside a real run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from connectors.kafka_scan import scan
from infra.rejects import REDRIVEN
from streams.checkpoint import BlobName
from tests.faults.real import Real

pytestmark = pytest.mark.broker


def riverrun(made: Real, *arguments: str, code: int = 0) -> Any:
    """Run the command; what it printed."""
    environment = {
        **os.environ,
        "RIVERRUN_HOME": str(made.home),
        "RIVERRUN_BOOTSTRAP_SERVERS": made.servers,
        "COLUMNS": "200",
        "PYTHONHASHSEED": "0",
    }
    command = [sys.executable, "-m", "infra.cli", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_state_is_listed_verified_shown_and_pruned(real: Callable[..., Real]) -> None:
    made = real()
    made.publish(1_000)
    made.close()
    file = str(made.file)
    assert made.worker(die="after commit 30").wait(60) == -signal.SIGKILL
    newest = [record.checkpoint.name for record in made.journal() if record.checkpoint][-1]
    listed = riverrun(made, "state", "list", file).stdout
    assert newest[:20] in listed
    verified = riverrun(made, "state", "verify", file, "--replay").stdout
    assert f"task 0  {newest}  ok" in verified
    assert f"state {made.digest()}" in verified
    shown = riverrun(made, "state", "show", file, "0").stdout
    assert "model logistic" in shown
    assert made.digest() in shown
    riverrun(made, "state", "prune", file)  # a blob that no record came to name
    folder = made.home / made.name / "checkpoints"
    orphan = str(BlobName(0, 1, "0" * 64))
    (folder / orphan).write_bytes(b"left over")
    assert riverrun(made, "state", "prune", file, "--dry-run").stdout.split() == [orphan]
    assert riverrun(made, "state", "prune", file).stdout.split() == [orphan]
    assert not (folder / orphan).exists()
    (folder / newest).write_bytes((folder / newest).read_bytes()[:-1])
    wrong = riverrun(made, "state", "verify", file, code=1).stdout
    assert f"task 0  {newest}  the blob is not what its name says" in wrong
    made.worker()
    made.until_done()
    made.check()


def test_rejects_are_listed_shown_and_sent_again_once(real: Callable[..., Real]) -> None:
    made = real(imports="import os", effect="assert event.x != 7, 'not mended yet'")
    made.publish(60)
    for name in ("a", "b"):
        at = "2023-11-14T22:30:00Z"
        made.send_raw("asked", json.dumps({"id": name, "shop": "shop 0", "at": at, "x": 7}).encode())
    made.send_raw("asked", b"[not json")
    made.publish(60)
    made.close()
    worker = made.worker()
    made.until_done()
    file = str(made.file)
    listed = riverrun(made, "rejects", "list", file).stdout
    assert "features_failed" in listed
    assert "not mended yet" in listed
    shown = riverrun(made, "rejects", "show", file, "--reason", "features_failed").stdout.splitlines()
    rows = [json.loads(line) for line in shown]
    assert [json.loads(row["value"])["id"] for row in rows] == ["a", "b"]
    worker.terminate()
    assert worker.wait(30) == 0
    made.effect = ""  # mended
    made.write()
    topic = f"{made.name}-asked"
    assert (
        len(riverrun(made, "rejects", "redrive", file, "--reason", "features_failed", "--dry-run").stdout.split()) == 2
    )
    chosen = ("rejects", "redrive", file, "--reason", "features_failed", "--yes")
    assert "2 records sent again" in riverrun(made, *chosen).stderr
    assert "2 sent again before, 0 to send" in riverrun(made, *chosen).stderr
    again = [record for record in scan(made.config, topic) if record.headers]
    assert [dict(record.headers)[REDRIVEN].decode() for record in again] == [row["reject"] for row in rows]
    assert [record.timestamp for record in again] == [row["timestamp_ms"] for row in rows]
    made.publish(20)
    made.close()
    made.worker()
    made.until_done()
    predicted = [json.loads(value)["event_id"] for _, _, value in made.outputs()["predictions"]]
    assert predicted.count("a") == predicted.count("b") == 1


def test_a_record_too_large_for_its_reject_is_sent_again_from_its_topic(real: Callable[..., Real]) -> None:
    made = real()
    made.publish(60)
    made.send_raw("asked", b'{"note": "' + b"x" * 700_000 + b'"}')
    made.close()
    made.worker()
    made.until_done()
    riverrun(made, "rejects", "redrive", str(made.file), "--reason", "too_large", "-y")
    first, second = [record for record in scan(made.config, f"{made.name}-asked") if len(record.value) > 700_000]
    assert first.value == second.value
    assert dict(second.headers)[REDRIVEN].startswith(made.pipeline.topic("rejects").encode())
