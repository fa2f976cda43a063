"""What a role logs, to standard error: one line an event, times in UTC; as text, or as JSON with fields."""

from __future__ import annotations

import logging
import os
import sys
import time
from types import TracebackType
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

from infra.text import one_line
from streams.errors import PipelineError

_log = logging.getLogger("riverrun.process")


class _Text(logging.Formatter):
    """Lines for people. Text of others in a message begins no line of its own; a traceback does."""

    converter = staticmethod(time.gmtime)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as logging has it
        record.message = one_line(record.message)
        return super().formatMessage(record)


def log_to_stderr(form: Literal["text", "json"], **who: str) -> None:
    """Configure logging for this process. The Kafka clients repeat themselves: what matters reaches us as errors.

    Parameters
    ----------
    form
        "text", or "json": an object a line, with the fields ``time`` (ISO 8601, UTC), ``level``, ``logger``,
        ``message``, those of ``who``, those of the event (docs/operations.md has them), and ``exc_info``.
    who
        Fields of every line: the pipeline, the role, and the process's own name.
    """
    if form == "json":
        sys.excepthook = _log_uncaught
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(form, who))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("kafka", "riverrun.kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def log_end(error: PipelineError) -> bool:
    """Log what this process ends with; False if JSON is not asked for, so that it is told as to a person."""
    if os.environ.get("RIVERRUN_LOG_FORMAT") != "json":
        return False
    if not logging.getLogger().handlers:  # it is so early
        log_to_stderr("json")
    _log.critical("%s", error.what, extra={"where": error.where, "remedy": error.remedy})
    return True


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.critical("ended by %s", kind.__name__, exc_info=(kind, error, trace))


def _formatter(form: Literal["text", "json"], who: dict[str, str]) -> logging.Formatter:
    if form == "text":
        return _Text("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
    names = {"levelname": "level", "name": "logger"}
    return JsonFormatter([*names, "message"], rename_fields=names, static_fields=who, timestamp="time")
