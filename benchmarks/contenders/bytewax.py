"""Bytewax and River: the loop is the state of a stateful operator, saved with the offsets at the end of each epoch."""

from __future__ import annotations

import os
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax._bytewax import cli_main
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir

from benchmarks.workload import of_environment

EPOCH = timedelta(seconds=10)
"""Bytewax's default."""


def main() -> None:
    """Build the dataflow and run it."""
    run, workload = os.environ["BENCH_RUN"], of_environment()
    brokers = [os.environ["BENCH_SERVERS"]]

    def take(loop: Any, message: KafkaSourceMessage) -> tuple[Any, list[bytes]]:
        loop = loop or workload.loop()
        said = loop.take(message.topic, message.value, message.timestamp[1])
        return loop, [] if said is None else [said]

    flow = Dataflow("bench")
    records = kop.input("in", flow, brokers=brokers, topics=list(workload.topics))
    keyed = op.key_on("key", records.oks, lambda message: str(message.partition))
    said = op.stateful_flat_map("river", keyed, take)
    messages = op.map("record", said, lambda pair: KafkaSinkMessage(None, pair[1]))
    kop.output("out", messages, brokers=brokers, topic=f"{run}.predictions", add_config={"compression.type": "lz4"})
    saved = Path(tempfile.mkdtemp(dir=os.environ["BENCH_HOME"]))
    init_db_dir(saved, 1)
    cli_main(flow, workers_per_process=1, epoch_interval=EPOCH, recovery_config=RecoveryConfig(saved))


if __name__ == "__main__":
    main()
