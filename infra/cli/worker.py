"""``riverrun worker``: the data path."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def worker(
    file: Annotated[Path, typer.Argument(help="The Python file that declares the pipeline.")],
    id: Annotated[
        str, typer.Option("--id", help="Name of this worker, unique among those running; keep it across restarts.")
    ] = "1",
    metrics_port: Annotated[
        int | None, typer.Option("--metrics-port", help="Serve Prometheus metrics on loopback; 0 takes any free port.")
    ] = None,
) -> None:
    """Run a worker: clean, featurize, predict and learn, each batch one Kafka transaction.

    Start as many as there are partitions: they share the tasks. SIGTERM saves checkpoints and leaves.
    """
    from infra.fixed_hashes import with_fixed_hashes
    from infra.roles.worker import run_worker
    from infra.settings import Settings
    from infra.stopping import StopSignal

    with_fixed_hashes()
    run_worker(file, Settings.load(), id, StopSignal(), metrics_port)
