"""``riverrun worker`` as a process of its own, forked from one that has imported everything: it starts in no time.

pytest ──starts once──▶ server, with all modules ──forks──▶ worker, worker, …

It is the production command from its arguments on; only the two seconds of imports are shared. Linux ends the workers
when the server ends, and the server ends with pytest.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

_IMPORTED = ["tests.faults.dying_worker", "infra.roles.worker", "infra.cli.worker", "river.tree", "river.linear_model"]
_PR_SET_PDEATHSIG = 1


class Worker:
    """The running process, with the methods of ``subprocess.Popen`` that tests use. Waits end after ``patience_s``."""

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], log: Path, patience_s: float) -> None:
        self._patience_s = patience_s
        log.touch(0o600)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_IMPORTED)
        before = os.environ.get("PYTHONHASHSEED")
        os.environ["PYTHONHASHSEED"] = "0"  # of the server, which the first worker starts, and so of every worker
        try:
            self._process: BaseProcess = context.Process(target=_run, args=(list(arguments), dict(env), log))
            self._process.start()
        finally:
            os.environ.pop("PYTHONHASHSEED")
            if before is not None:
                os.environ["PYTHONHASHSEED"] = before

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Its exit code, once it has one."""
        timeout = min(timeout, self._patience_s)
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired("worker", timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def stop(self, grace_s: float) -> None:
        """SIGTERM, and SIGKILL if that does not help."""
        self.terminate()
        try:
            self.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.send_signal(signal.SIGKILL)
            self.wait(grace_s)


def _run(arguments: list[str], env: dict[str, str], log: Path) -> None:
    """In the worker: what the operating system and the interpreter would have done, then the command."""
    from tests.faults import dying_worker

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.setpgid(0, 0)
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "(read|open)_text is deprecated", DeprecationWarning)  # as in pyproject.toml
    os.environ.update(env)
    sys.argv = ["riverrun", *arguments]
    dying_worker.main()
