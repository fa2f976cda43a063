"""Asks a running monitor, for the command line."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from infra.monitor.answers import Overview, Pipelines, Problem
from infra.settings import Settings
from streams.errors import BrokerUnreachable, Declined

TIMEOUT_S = 20.0
"""Longer than the pause between two heartbeats of the events."""

T = TypeVar("T", bound=msgspec.Struct)


class Client:
    """A monitor at ``url``, asked with the token of the settings. Only http(s) addresses will do.

    Raises Declined when it refuses, BrokerUnreachable when nobody answers.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        if not url.startswith(("http://", "https://")):
            raise Declined(f"not the address of a monitor: {url}", where="--url", remedy="http://127.0.0.1:8642")
        self._url, self._token = url.rstrip("/"), settings.monitor_token
        self._opener = build_opener(ProxyHandler({}))  # a proxy must not see the token

    def pipelines(self) -> list[str]:
        """The names of its pipelines."""
        return [each.name for each in self._get("/api/pipelines", Pipelines).pipelines]

    def overview(self, pipeline: str) -> Overview:
        """One pipeline at a glance."""
        return self._get(f"/api/pipelines/{pipeline}", Overview)

    def changes(self) -> Iterator[None]:
        """Once for each event or heartbeat, until the connection ends."""
        with self._open("/api/events") as lines:
            try:
                for line in lines:
                    if line.startswith((b"data:", b":")):
                        yield
            except (OSError, HTTPException):
                return

    def _get(self, path: str, kind: type[T]) -> T:
        with self._open(path) as answer:
            return msgspec.json.decode(answer.read(), type=kind)

    def _open(self, path: str) -> HTTPResponse:
        token = {"Authorization": f"Bearer {self._token.get_secret_value()}"} if self._token else {}
        try:
            request = Request(self._url + path, headers=token)  # noqa: S310  # http or https, see above
            opened: HTTPResponse = self._opener.open(request, timeout=TIMEOUT_S)
        except HTTPError as error:
            with error:
                raise _refusal(error, self._url + path) from error
        except (URLError, OSError, HTTPException) as error:
            raise BrokerUnreachable(
                "no monitor answers", where=self._url, remedy="`riverrun monitor FILE`, or name another with --url"
            ) from error
        return opened


def _refusal(error: HTTPError, url: str) -> Declined:
    try:
        said = msgspec.json.decode(error.read(), type=Problem)
    except msgspec.MsgspecError:
        return Declined(f"this is no monitor: status {error.code}", where=url, remedy="name another with --url")
    return Declined(said.what, where=said.where or url, remedy=said.remedy)
