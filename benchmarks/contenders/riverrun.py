"""riverrun: makes the topics, then becomes a worker as ``riverrun worker`` starts it, with nothing switched off."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Become a worker. Where ``BENCH_AGAIN`` is set there are topics already."""
    file = Path(__file__).parents[1] / os.environ["BENCH_PIPELINE"]
    if not os.environ.get("BENCH_AGAIN"):
        from infra.settings import Settings
        from infra.topics import apply_topics
        from streams.pipeline import load_pipeline

        apply_topics(load_pipeline(file), Settings.load())
    worker = ["-m", "infra.cli", "worker", str(file), "--id", os.environ.get("BENCH_WORKER", "1")]
    os.execv(sys.executable, [sys.executable, *worker])  # noqa: S606


if __name__ == "__main__":
    main()
