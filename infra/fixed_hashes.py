"""Python's hashes, the same in every process."""

from __future__ import annotations

import os
import sys


def with_fixed_hashes() -> None:
    """Start this process over with PYTHONHASHSEED=0, unless it has it: a set's order may reach a model's arithmetic."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the same program and arguments
