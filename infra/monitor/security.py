"""Who may ask the monitor what: its own names, its own pages, and those who know the token.

another name in Host      421   somebody else's name leads here (DNS rebinding)
another page in Origin    403   a page of another site asks for its visitor
no or a wrong token       401   when one is set
no header X-Riverrun      403   for what changes something: no form of another site can send it
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from infra.monitor.address import Address
from infra.monitor.answers import Problem
from infra.monitor.assets import PREFIX
from infra.settings import Settings
from streams.errors import BrokerUnreachable, PipelineError, StoreUnavailable

COOKIE = "riverrun"
HEADER = "X-Riverrun"
OPEN = ("/healthz", "/", "/api/openapi.json")
"""What needs no token, as does the page's code: nothing of a pipeline is in it."""

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    "object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_log = logging.getLogger("riverrun.monitor")


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith(PREFIX)


def problem(status: int, what: str, where: str = "", remedy: str = "") -> web.Response:
    """An error as every client gets it."""
    body = msgspec.json.encode(Problem(what, where, remedy))
    return web.Response(body=body, status=status, content_type="application/json")


class Guard:
    """Lets those through who may ask."""

    def __init__(self, settings: Settings, address: Address) -> None:
        self._address = address
        token = settings.monitor_token
        self._token = token.get_secret_value().encode() if token else None
        own_key = secrets.token_bytes(32)  # a cookie says nothing of the token, and ends with this process
        self._cookie = hmac.new(own_key, self._token or b"", hashlib.sha256).hexdigest()

    def session(self) -> str:
        """What a cookie holds that stands for the token."""
        return self._cookie

    def refused(self, request: web.Request) -> web.Response | None:
        """Why this request is not answered; None when it is."""
        host, origin = request.headers.get("Host"), request.headers.get("Origin")
        if not self._address.answers_to(host):
            return problem(421, "this is not my name", "header Host", "give `riverrun monitor` the name with --name")
        if origin is not None and origin.lower() != f"{request.scheme}://{host}".lower():
            return problem(403, "a page of another site may not ask", "header Origin")
        if self._token is not None and not _is_open(request.path) and not self._knows(request):
            remedy = "send `Authorization: Bearer …` with RIVERRUN_MONITOR_TOKEN"
            return problem(401, "no token, or a wrong one", "header Authorization", remedy)
        if request.method not in ("GET", "HEAD") and HEADER not in request.headers:
            return problem(403, f"a request that changes something needs the header {HEADER}", "", f"{HEADER}: 1")
        return None

    def _knows(self, request: web.Request) -> bool:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._token is not None:
            return hmac.compare_digest(token.strip().encode("utf-8", "surrogateescape"), self._token)
        cookie = request.cookies.get(COOKIE, "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(cookie, self._cookie.encode())

    @property
    def middleware(self) -> Middleware:
        """Checks every request, and turns every error into a Problem."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            refused = self.refused(request)
            if refused is not None:
                return refused
            try:
                return await handler(request)
            except web.HTTPException as error:
                return problem(error.status, error.reason, request.path, "GET /api/openapi.json says what there is")
            except PipelineError as error:
                away = isinstance(error, BrokerUnreachable | StoreUnavailable)
                return problem(503 if away else 400, error.what, error.where, error.remedy)
            except Exception:
                _log.exception("%s %s", request.method, request.path)
                return problem(500, "an error of ours", request.path, "read the monitor's log")

        return guarded


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """What every answer says of how it may be used."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.pop("Server", None)
