"""The same program, from its beginning, in the same process: what it knew is gone, and what it held is let go."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def start_over() -> NoReturn:
    """Begin anew with the same arguments and environment. Files and sockets of Python are closed, locks let go."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the same program and arguments
