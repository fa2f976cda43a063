"""A long-running command stops in order on SIGTERM and Ctrl-C."""

from __future__ import annotations

import signal
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
