"""Python's hashes, the same in every process."""

from __future__ import annotations

import os

from infra.start_over import start_over


def with_fixed_hashes() -> None:
    """Start this process over with PYTHONHASHSEED=0, unless it has it: a set's order may reach a model's arithmetic."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        start_over()
