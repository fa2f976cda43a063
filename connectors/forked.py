"""Pickles a state in a forked copy of the process: the data path waits for the fork alone, some milliseconds.

    data path   step ─ fork ─ step ─ step ─ …
    the copy           └ pickle ─▶ pipe ─ end
    background             read ◀──┘

The copy sees the state of the moment of the fork, whatever the steps do to it after that. Pickling in place would also
leave its mark: up to Python 3.12 an object whose ``__dict__`` was looked at has slower attributes from then on.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import select
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from streams import checkpoint
from streams.errors import StoreUnavailable

SILENT_S_MAX = 60.0
"""A copy that is silent for so long hangs, as a fork beside other threads may: it is ended, and no other is made."""

_PIECE_BYTES = 2**20
_log = logging.getLogger("riverrun.checkpoints")


class ForkedFreeze:
    """``freeze(state)`` forks; what it gives waits for the bytes.

    Where forking is not safe (on a Mac) or fails, it pickles in place, as it does after a copy has failed.

    Examples
    --------
    >>> freeze, state = ForkedFreeze(), {"w": 1.5}
    >>> frozen = freeze(state)
    >>> state["w"] = 2.5
    >>> checkpoint.thaw(frozen())
    {'w': 1.5}
    """

    def __init__(self) -> None:
        self._forks = sys.platform == "linux"

    def __call__(self, state: Any) -> Callable[[], bytes]:
        if not self._forks:
            return checkpoint.freeze_here(state)
        reading, writing = os.pipe()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # there are other threads: the copy needs none
                copy = os.fork()
        except OSError as error:
            os.close(reading)
            os.close(writing)
            _log.warning("the state is pickled in place: no process can be forked: %s", error)
            return checkpoint.freeze_here(state)
        if copy == 0:
            _pickle_and_end(state, writing)
        os.close(writing)
        return lambda: self._read(copy, reading)

    def _read(self, copy: int, reading: int) -> bytes:
        """All that the copy writes. Raises StoreUnavailable when that is not everything."""
        pieces, hangs = [], False
        while not (hangs := not select.select([reading], [], [], SILENT_S_MAX)[0]):
            piece = os.read(reading, _PIECE_BYTES)
            if not piece:
                break
            pieces.append(piece)
        os.close(reading)
        if hangs:
            os.kill(copy, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
        if status != 0:
            self._forks = False
            raise StoreUnavailable(
                f"the process that pickled the state ended with status {status}",
                where=f"process {copy}",
                remedy="none is needed: states are pickled in place from now on; look whether memory is short",
            )
        return b"".join(pieces)


def _pickle_and_end(state: Any, writing: int) -> None:
    """All the life of the copy. It leaves at once: locks, sockets and exit handlers are the other's."""
    status = 1
    with suppress(BaseException):
        gc.disable()
        os.closerange(3, writing)
        os.closerange(writing + 1, os.sysconf("SC_OPEN_MAX"))
        with open(writing, "wb", buffering=0) as pipe:
            pickle.dump(state, pipe, protocol=checkpoint.PROTOCOL)
        status = 0
    os._exit(status)
