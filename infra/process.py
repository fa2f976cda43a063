"""Child processes: started so that none is orphaned, stopped so that no stranger is ever killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from streams.errors import Declined

# Runs in the child before its program: asks Linux for SIGTERM when the parent dies, and leaves if it already has. Not a
# preexec_fn: between fork and exec of a process with threads (every Kafka client has some) Python code may deadlock.
_TETHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
sys.exit(1) if os.getppid() != int(sys.argv[1]) else os.execv(sys.argv[2], sys.argv[2:])
"""


def spawn(
    args: Sequence[str | Path],
    *,
    name: str,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    tether: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a child process. It gets a process group of its own, so Ctrl-C reaches us alone and we stop it in order.

    Parameters
    ----------
    args
        The program and its arguments; no shell is involved.
    name
        What the child is called in errors.
    log
        Standard output and error are appended here; None passes ours on.
    env
        Variables added to our environment.
    tether
        The child gets SIGTERM when we die, however we die. Linux only: elsewhere a parent killed by SIGKILL leaves its
        children running. Linux counts the *thread* that called ``spawn`` as the parent, so call it from one that lasts.

    Raises
    ------
    Declined
        There is no such program.

    Examples
    --------
    >>> spawn([sys.executable, "-c", "raise SystemExit(3)"], name="example").wait()
    3
    """
    program = shutil.which(args[0])
    if program is None:
        raise Declined(f"cannot start {name}: no program {args[0]}", remedy="install it, or mend PATH")
    command = [program, *map(str, args[1:])]
    if tether and sys.platform == "linux":
        command = [sys.executable, "-I", "-S", "-c", _TETHER, str(os.getpid()), *command]
    output = None if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(env or {})},
            process_group=0 if tether else None,
            start_new_session=not tether,
        )
    finally:
        if output is not None:
            os.close(output)


def create_time_s(pid: int) -> float:
    """When the process was started, seconds since the Unix epoch. With the id it names a process for good."""
    created_s: float = psutil.Process(pid).create_time()
    return created_s


def find(pid: int, created_s: float) -> psutil.Process | None:
    """The running process with this id that was started at ``created_s``; None if it ended or its id was recycled.

    Examples
    --------
    >>> find(os.getpid(), create_time_s(os.getpid())) is not None
    True
    >>> find(os.getpid(), created_s=0.0) is None
    True
    """
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - created_s) < 2 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if same else None


def stop(process: subprocess.Popen[bytes] | psutil.Process, grace_s: float) -> None:
    """SIGTERM, wait ``grace_s`` at most, SIGKILL. A process that has ended already is fine.

    psutil never signals a recycled id, and the id of a child of ours is not recycled before we waited for it.
    """
    try:
        process.terminate()
        process.wait(grace_s)
    except psutil.NoSuchProcess:
        return
    except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
        process.kill()
        process.wait(grace_s)
