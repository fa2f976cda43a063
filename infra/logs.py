"""What a role logs, to standard error: one line an event, times in UTC."""

from __future__ import annotations

import logging
import time


def log_to_stderr() -> None:
    """Configure logging for this process. The Kafka client's own log is shown from warnings on."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)sZ %(levelname)s %(name)s: %(message)s", force=True)
    logging.Formatter.converter = time.gmtime
    for name in ("kafka", "riverrun.kafka"):
        logging.getLogger(name).setLevel(logging.WARNING)
