"""Server-sent events: what has changed in which pipelines. A few a second at the most, however much changes."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec
from aiohttp import web

from infra.monitor.control_plane import EVERYTHING, ControlPlane
from infra.monitor.news import News

PAUSE_S = 0.25
"""Between two events to one listener; what changes meanwhile is in the next."""

HEARTBEAT_S = 15.0
"""A listener hears at least so often: proxies end what is silent."""

PATIENCE_S = 30.0
"""A listener that takes nothing for so long is left."""

LISTENERS_MAX = 100


async def stream(plane: ControlPlane, request: web.Request) -> web.StreamResponse:
    """Tell one listener until it leaves. It is told of all pipelines first."""
    if plane.listeners >= LISTENERS_MAX:
        raise web.HTTPServiceUnavailable(reason=f"{LISTENERS_MAX} listen already")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    news = News()
    for name in plane.pipelines:
        news.add(name, EVERYTHING)
    plane.listen(news)
    try:
        with suppress(ConnectionError, TimeoutError):  # it left
            while True:
                names = await news.taken(HEARTBEAT_S)
                async with asyncio.timeout(PATIENCE_S):
                    await response.write(_event(names) if names else b": still here\n\n")
                await asyncio.sleep(PAUSE_S)
    finally:
        plane.leave(news)
    return response


def _event(names: dict[str, list[str]]) -> bytes:
    return b"event: changed\ndata: " + msgspec.json.encode({"pipelines": list(names), "what": names}) + b"\n\n"
