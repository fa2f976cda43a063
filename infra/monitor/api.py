"""The monitor's page and API, served with aiohttp in the event loop of the control plane."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import msgspec
from aiohttp import web

from infra import decisions
from infra.monitor import asking, views
from infra.monitor.address import Address
from infra.monitor.answers import Asked, Decided, Health, Pipelines, Session
from infra.monitor.assets import PREFIX, Asset, Assets
from infra.monitor.control_plane import ControlPlane
from infra.monitor.drawing import Drawing
from infra.monitor.events import stream
from infra.monitor.flow import Sampler
from infra.monitor.picture import Picture
from infra.monitor.routes import ROUTES, Number, document
from infra.monitor.security import COOKIE, Guard, add_headers
from infra.settings import Settings
from streams.errors import Declined, PipelineError

BODY_BYTES_MAX = 64 * 1024
WAIT_S_MAX = 30.0
"""How long a decision's answers are waited for at the most."""

STOP_S = 1.0
"""How long open requests may go on when the monitor ends."""

LOOK_S = 1.0
"""While somebody listens, Kafka is looked at so often for what moves."""

FOR_GOOD = "public, max-age=31536000, immutable"

_log = logging.getLogger("riverrun.monitor")


class Api:
    """Answers requests from the pictures, and asks Kafka where somebody wants to know."""

    def __init__(self, plane: ControlPlane, settings: Settings, guard: Guard) -> None:
        self._plane, self._settings, self._guard = plane, settings, guard
        self._version = version("riverrun")
        self._document = msgspec.json.encode(document(self._version))
        self._assets = Assets()
        self._drawings: dict[str, Drawing] = {}
        self._sampler = Sampler(plane.pipelines.values(), settings)

    def application(self) -> web.Application:
        """All routes behind the guard."""
        app = web.Application(middlewares=[self._guard.middleware], client_max_size=BODY_BYTES_MAX)
        app.on_response_prepare.append(add_headers)
        app.cleanup_ctx.append(self._looking)
        app.router.add_get("/", self.page)
        app.router.add_get(PREFIX + "{path:.+}", self.asset)
        app.router.add_get("/api/openapi.json", self.openapi)
        for route in ROUTES:
            app.router.add_route(route.method, route.path, getattr(self, route.name))
        return app

    async def page(self, request: web.Request) -> web.Response:
        return await _sent(request, self._assets.index, "no-cache")

    async def asset(self, request: web.Request) -> web.Response:
        found = self._assets.get(request.path)
        if found is None:
            raise web.HTTPNotFound(reason="there is no such file")
        return await _sent(request, found, FOR_GOOD)

    async def openapi(self, _: web.Request) -> web.Response:
        return web.Response(body=self._document, content_type="application/json")

    async def health(self, _: web.Request) -> web.Response:
        active = self._plane.active
        health = Health(ready=active or self._plane.stands_by, active=active, version=self._version)
        return _json(health, 200 if health.ready else 503)

    async def pipelines(self, _: web.Request) -> web.Response:
        return _json(Pipelines([views.head(each) for each in self._pictures().values()]))

    async def overview(self, request: web.Request) -> web.Response:
        drawing = self._drawing(request)
        try:
            tasks, problem = await asyncio.to_thread(asking.task_heads, drawing.picture.pipeline, self._settings), None
        except PipelineError as error:
            tasks, problem = [], str(error)
        return _json(views.overview(drawing, time.time_ns() // 1_000_000, tasks, problem))

    async def windows(self, request: web.Request) -> web.Response:
        return _json(views.windows(self._picture(request), _last(request)))

    async def received(self, request: web.Request) -> web.Response:
        return _json(views.received(self._picture(request), _last(request)))

    async def history(self, request: web.Request) -> web.Response:
        return _json(self._drawing(request).history(_last(request)))

    async def quality(self, request: web.Request) -> web.Response:
        return _json(self._drawing(request).quality())

    async def features(self, request: web.Request) -> web.Response:
        return _json(self._drawing(request).spreads())

    async def flow(self, request: web.Request) -> web.Response:
        picture = self._picture(request)
        made = await self._sampler.flow(picture.pipeline.name)
        for task in made.tasks:
            task.learns = task.task not in picture.judging.paused
        return _json(made)

    async def alarms(self, request: web.Request) -> web.Response:
        return _json(views.alarms(self._picture(request), _last(request)))

    async def alerts(self, request: web.Request) -> web.Response:
        return _json(views.alerts(self._picture(request), _last(request)))

    async def decisions(self, request: web.Request) -> web.Response:
        return _json(views.decisions(self._picture(request), _last(request)))

    async def versions(self, request: web.Request) -> web.Response:
        return _json(views.versions(self._picture(request)))

    async def rejects(self, request: web.Request) -> web.Response:
        pipeline = self._picture(request).pipeline
        return _json(await asyncio.to_thread(asking.newest_rejects, pipeline, self._settings, _last(request)))

    async def decide(self, request: web.Request) -> web.Response:
        """Send a decision to all tasks, and wait a while for their answers."""
        pipeline, config = self._picture(request).pipeline, self._settings.kafka_python()
        asked = _decoded(await request.read())
        made = decisions.new_decision(asked.action, asked.model, asked.by, asked.why, asked.version, asked.after)
        async with self._plane.deciding:
            since = await asyncio.to_thread(decisions.send, config, pipeline, made)
        wait_s = min(max(asked.wait_s, 0.0), WAIT_S_MAX)
        found = await asyncio.to_thread(decisions.wait_for_answers, config, pipeline, made, since, wait_s)
        waiting = sorted(set(range(pipeline.partitions)) - {each.task for each in found})
        what = (made.id, made.action, made.model, made.version, made.by, made.why, made.decided_time_ms)
        return _json(Decided(*what, answers=found, waiting=waiting))

    async def session(self, _: web.Request) -> web.Response:
        """Who came here knows the token, or needs none."""
        response = _json(Session(accepted=True))
        response.set_cookie(COOKIE, self._guard.session(), httponly=True, samesite="Strict", path="/")
        return response

    async def events(self, request: web.Request) -> web.StreamResponse:
        return await stream(self._plane, request)

    async def _looking(self, _: web.Application) -> AsyncIterator[None]:
        """Tell listeners, while there are any, that something moves."""
        task = asyncio.create_task(self._look_again_and_again())
        yield
        task.cancel()
        await asyncio.to_thread(self._sampler.close)

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for name in self._plane.pipelines if self._plane.listeners else ():
                try:
                    if await self._sampler.moved(name):
                        self._plane.tell(name, "flow")
                except PipelineError as error:
                    _log.debug("cannot look: %s", error)
                    self._plane.tell(name, "flow")

    def _drawing(self, request: web.Request) -> Drawing:
        picture = self._picture(request)
        name = picture.pipeline.name
        if name not in self._drawings or self._drawings[name].picture is not picture:
            self._drawings[name] = Drawing(picture)
        return self._drawings[name]

    def _pictures(self) -> dict[str, Picture]:
        pictures = self._plane.pictures()
        if not pictures:
            raise web.HTTPServiceUnavailable(reason="another monitor has the pictures, or they are still being read")
        return pictures

    def _picture(self, request: web.Request) -> Picture:
        pictures, name = self._pictures(), request.match_info["name"]
        if name not in pictures:
            raise web.HTTPNotFound(reason="there is no such pipeline here")
        return pictures[name]


async def _sent(request: web.Request, asset: Asset, cache: str) -> web.Response:
    headers = {"Cache-Control": cache, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("Accept-Encoding", "").lower():
        body = await asyncio.to_thread(lambda: asset.packed)
        headers["Content-Encoding"] = "gzip"
    else:
        body = asset.plain
    return web.Response(body=body, headers=headers, content_type=asset.kind, charset="utf-8")


def _json(answer: msgspec.Struct, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(answer), status=status, content_type="application/json")


def _last(request: web.Request) -> int:
    """The parameter ``last``, within its bounds."""
    number = _NUMBERS[request.match_info.route.resource.canonical]  # type: ignore[union-attr]  # we are on a route
    text = request.query.get(number.name, str(number.default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= number.largest):
        raise Declined(f"not a number from 1 to {number.largest}", where=f"?{number.name}=", remedy="give one, or none")
    return int(text)


_NUMBERS: dict[str, Number] = {route.path: route.numbers[0] for route in ROUTES if route.numbers}


def _decoded(body: bytes) -> Asked:
    try:
        return msgspec.json.decode(body, type=Asked)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Declined(
            f"not a decision: {error}", where="the request's body", remedy="GET /api/openapi.json says what is"
        ) from error


@asynccontextmanager
async def serve(plane: ControlPlane, settings: Settings, address: Address) -> AsyncIterator[int]:
    """Serve while in this context; the port. Raises Declined when the address cannot be had."""
    api = Api(plane, settings, Guard(settings, address))
    runner = web.AppRunner(api.application(), access_log=None, shutdown_timeout=STOP_S, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address.host, address.port)
        try:
            await site.start()
        except OSError as error:
            where = f"{address.host}:{address.port}"
            raise Declined(f"the monitor cannot be served: {error.strerror}", where=where, remedy="--port 0") from error
        port = int(runner.addresses[0][1])
        shown = f"[{address.host}]" if ":" in address.host else address.host
        _log.info("monitor: http://%s:%d/", shown, port, extra={"port": port})
        yield port
    finally:
        await runner.cleanup()
