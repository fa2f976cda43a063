"""A monitor process: the control plane on Faust, and the page and API in the same event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from infra.logs import log_to_stderr
from infra.monitor.address import Address
from infra.monitor.api import serve
from infra.monitor.control_plane import ControlPlane, app_name
from infra.only_one import only_one
from infra.settings import Settings
from infra.start_over import start_over
from infra.telemetry import PrometheusTelemetry
from streams.check import refuse_mistakes
from streams.errors import Declined, PipelineError
from streams.pipeline import Pipeline, load_pipeline

STOP_S = 8.0
"""A monitor that does not end by itself within so long of being told to is ended. Faust waits for its agents for ever;
what was not committed is read again."""

_QUIET = ("faust", "infra.monitor.faust_kafka", "mode", "aiokafka", "aiohttp.access")
_log = logging.getLogger("riverrun.monitor")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a monitor runs: its name among several of the same pipelines, and what it listens on."""

    instance: str
    address: Address
    metrics_port: int | None


def run_monitor(files: Sequence[Path], settings: Settings, place: Place) -> None:
    """Run a monitor of these pipelines until SIGTERM or Ctrl-C.

    Raises Declined when it may not run so, PipelineError when it ended by itself.
    """
    place.address.refuse_open(settings)
    pipelines = _loaded(files)
    name = app_name(pipelines)
    log_to_stderr(settings.log_format, pipeline=name, role="monitor", id=place.instance)
    for noisy in _QUIET if os.environ.get("RIVERRUN_DEBUG") != "1" else ():
        logging.getLogger(noisy).setLevel(logging.ERROR)
    telemetry = PrometheusTelemetry(",".join(pipeline.name for pipeline in pipelines))
    folder = settings.data_folder(name)
    with only_one(folder, f"monitor {place.instance}"), ExitStack() as served:
        served.enter_context(telemetry.announced(settings.home, "monitor", place.instance, place.metrics_port))
        plane = ControlPlane(pipelines, settings, place.instance, folder / "faust", telemetry)
        asyncio.run(_run(plane, settings, place.address, served.close))


def _loaded(files: Sequence[Path]) -> list[Pipeline]:
    pipelines: dict[str, Pipeline] = {}
    for file in files:
        pipeline = load_pipeline(file)
        refuse_mistakes(pipeline, str(file))
        if pipeline.name in pipelines:
            raise Declined(
                f"two pipelines have the name {pipeline.name}", where=str(file), remedy="name each file once"
            )
        pipelines[pipeline.name] = pipeline
    return list(pipelines.values())


async def _run(plane: ControlPlane, settings: Settings, address: Address, leave: Callable[[], None]) -> None:
    """Run until told to stop, or failed. Who was told to stop is down by intent: ``leave`` says so."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with serve(plane, settings, address):
        starting = asyncio.create_task(plane.start())
        told = asyncio.create_task(stopping.wait())
        try:
            while not stopping.is_set() and not plane.failed:
                if starting.done():
                    starting.result()
                if why := plane.disturbed:
                    _log.warning("monitor begins anew: %s", why)
                    start_over()
                await asyncio.wait({told}, timeout=0.5)
        finally:
            if stopping.is_set():
                leave()
            _end_at_last()
            starting.cancel()
            told.cancel()
            failed = plane.failed
            await plane.stop()
    if failed and not stopping.is_set():
        raise plane.failure or PipelineError(
            "the control plane ended by itself", where="Faust", remedy="start it again; see the log"
        )


def _end_at_last() -> None:
    """End this process when it does not end by itself."""

    def end() -> None:
        _log.warning("it has not ended within %.0f s of being told to: ended now", STOP_S)
        os._exit(0)

    timer = threading.Timer(STOP_S, end)
    timer.daemon = True
    timer.start()
