"""``riverrun worker`` that dies, stops or fails where a test says; otherwise the production code as it is.

``RIVERRUN_TEST_DIE`` is "WHEN OPERATION COUNT [ACTION]": "after commit 3" is kill -9 after the third commit,
"before commit 3 stop" is SIGSTOP there. Operations are those of the log, "step", and those of the checkpoint store.
``RIVERRUN_TEST_PLANT`` takes a protection out (plants.py). The other variables that ``main`` looks at set deadlines and
limits.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from typing import Any

import pytest

import connectors.kafka_log
import infra.cli
import streams.observe
from connectors.blobs import FolderBlobStore
from connectors.kafka_log import KafkaLog
from streams.task import Task
from tests.faults.plants import PLANTS

OWNERS: dict[str, Any] = {"step": Task, "put": FolderBlobStore, "fsync": os, "replace": os}
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def arm(when: str, operation: str, count: str, action: str = "kill") -> None:
    """Let the process die before or after this operation, the time it is called for the ``count``-th time."""
    owner = OWNERS.get(operation, KafkaLog)
    original: Callable[..., Any] = getattr(owner, operation)
    calls = 0

    def armed(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == int(count) and when == "before":
            die(*args)
        result = original(*args, **kwargs)
        if calls == int(count) and when == "after":
            die(*args)
        return result

    def die(log: Any = None, *_: Any) -> None:
        if operation in {"produce", "send_offsets", "commit"} and isinstance(log, KafkaLog):
            log._producer.flush(5)  # so that the broker has it, and not our memory alone
        os.kill(os.getpid(), SIGNALS[action])

    setattr(owner, operation, armed)


def main() -> None:
    """The command line, with what the test wants of this process."""
    if os.environ.get("RIVERRUN_TEST_DIE"):
        arm(*os.environ["RIVERRUN_TEST_DIE"].split())
    if os.environ.get("RIVERRUN_TEST_SESSION_TIMEOUT_MS"):
        connectors.kafka_log._CONSUMER["session.timeout.ms"] = int(os.environ["RIVERRUN_TEST_SESSION_TIMEOUT_MS"])
    if os.environ.get("RIVERRUN_TEST_TRANSACTION_TIMEOUT_MS"):
        connectors.kafka_log._PRODUCER["transaction.timeout.ms"] = int(
            os.environ["RIVERRUN_TEST_TRANSACTION_TIMEOUT_MS"]
        )
    if os.environ.get("RIVERRUN_TEST_WATCH_S"):
        streams.observe.WATCH_EVERY_S = float(os.environ["RIVERRUN_TEST_WATCH_S"])
        streams.observe.BLOCKED_WARN_S = 3 * streams.observe.WATCH_EVERY_S
    if os.environ.get("RIVERRUN_TEST_FILE_BYTES_MAX"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write beyond the limit is an error, as a full disk is
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["RIVERRUN_TEST_FILE_BYTES_MAX"]),) * 2)
    if os.environ.get("RIVERRUN_TEST_PLANT"):
        PLANTS[os.environ["RIVERRUN_TEST_PLANT"]](pytest.MonkeyPatch())
    infra.cli.main()
