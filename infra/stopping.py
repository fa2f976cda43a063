"""A long-running command stops in order on SIGTERM and Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType


class StopSignal:
    """Becomes true at the first SIGTERM or SIGINT. A second SIGINT ends the process at once; a second SIGTERM does not,
    as supervisors repeat themselves and a checkpoint takes its time.

    Examples
    --------
    >>> stop = StopSignal()
    >>> stop()
    False
    >>> signal.raise_signal(signal.SIGTERM); signal.raise_signal(signal.SIGTERM); stop()
    True
    """

    def __init__(self) -> None:
        self._set = False
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, self._handle)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._set = True
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    def __call__(self) -> bool:
        return self._set


def wait_for(stop: Callable[[], bool], seconds: float) -> None:
    """Wait so long, or until ``stop`` says so.

    >>> wait_for(lambda: True, 60)
    """
    until_s = time.monotonic() + seconds
    while not stop() and (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(left_s, 0.1))
