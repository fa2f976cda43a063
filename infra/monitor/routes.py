"""What can be asked of the monitor: each path with its answer and its parameters, and the OpenAPI document of them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from infra.monitor import answers, drawn
from infra.monitor.security import HEADER


class Number(NamedTuple):
    """A parameter of a query: how many."""

    name: str
    default: int
    largest: int
    help: str


LAST_WINDOWS = Number("last", 48, 1_000, "How many of the newest windows.")
LAST_HISTORY = Number("last", 400, 1_000, "How many of the newest windows.")
LAST = Number("last", 100, 500, "How many of the newest.")
LAST_REJECTS = Number("last", 20, 100, "How many of the newest.")


class Route(NamedTuple):
    """One path. ``name`` is that of the handler; ``answer`` None is a stream of server-sent events."""

    method: str
    path: str
    name: str
    help: str
    answer: type[msgspec.Struct] | None
    body: type[msgspec.Struct] | None = None
    numbers: tuple[Number, ...] = ()


_ONE = "/api/pipelines/{name}"
ROUTES = (
    Route("GET", "/healthz", "health", "Whether the monitor is ready.", answers.Health),
    Route("GET", "/api/pipelines", "pipelines", "All pipelines in short.", answers.Pipelines),
    Route("GET", _ONE, "overview", "One pipeline at a glance.", answers.Overview),
    Route("GET", f"{_ONE}/windows", "windows", "Windows of event time.", answers.Windows, None, (LAST_WINDOWS,)),
    Route("GET", f"{_ONE}/received", "received", "The same by when it came.", answers.Windows, None, (LAST_WINDOWS,)),
    Route(
        "GET", f"{_ONE}/history", "history", "Windows in columns, scores slid.", drawn.History, None, (LAST_HISTORY,)
    ),
    Route("GET", f"{_ONE}/quality", "quality", "Confusion, curves, labels of each model.", drawn.Quality),
    Route("GET", f"{_ONE}/features", "features", "Features against how they were before.", drawn.Spreads),
    Route("GET", f"{_ONE}/flow", "flow", "Offsets, rates, workers and tasks now.", drawn.Flow),
    Route("GET", f"{_ONE}/alarms", "alarms", "Alarms of drift detectors.", answers.Alarms, None, (LAST,)),
    Route("GET", f"{_ONE}/alerts", "alerts", "Declared alerts, and news of them.", answers.Alerts, None, (LAST,)),
    Route("GET", f"{_ONE}/decisions", "decisions", "Decisions and their answers.", answers.Decisions, None, (LAST,)),
    Route("POST", f"{_ONE}/decisions", "decide", "Take a decision on a model.", answers.Decided, answers.Asked),
    Route("GET", f"{_ONE}/versions", "versions", "What models can go back to.", answers.Versions),
    Route("GET", f"{_ONE}/rejects", "rejects", "The newest rejects.", answers.Rejects, None, (LAST_REJECTS,)),
    Route("POST", "/api/session", "session", "Get a cookie that stands for the token.", answers.Session),
    Route("GET", "/api/events", "events", "What has changed where, as server-sent events.", None),
)


def document(version: str) -> dict[str, Any]:
    """The OpenAPI document.

    >>> sorted(document("1")["paths"]["/api/pipelines/{name}/decisions"])
    ['get', 'post']
    """
    types = [answers.Problem, *(t for route in ROUTES for t in (route.answer, route.body) if t is not None)]
    shapes, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    refs: dict[Any, dict[str, Any]] = dict(zip(types, shapes, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "riverrun monitor",
            "version": version,
            "description": "Times are milliseconds since the Unix epoch. Errors say what, where, and the remedy.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(route: Route, refs: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    if route.answer is None:
        good: dict[str, Any] = {"text/event-stream": {"schema": {"type": "string"}}}
    else:
        good = {"application/json": {"schema": refs[route.answer]}}
    wrong = {"application/json": {"schema": refs[answers.Problem]}}
    made: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.help,
        "parameters": [*_path_parameters(route.path), *(_number(each) for each in route.numbers)],
        "responses": {
            "200": {"description": "The answer.", "content": good},
            "default": {"description": "Why there is none.", "content": wrong},
        },
    }
    if route.method != "GET":
        header = {"name": HEADER, "in": "header", "required": True, "schema": {"type": "string"}}
        made["parameters"].append(header)
    if route.body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": refs[route.body]}}}
    return made


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _number(each: Number) -> dict[str, Any]:
    shape = {"type": "integer", "minimum": 1, "maximum": each.largest, "default": each.default}
    return {"name": each.name, "in": "query", "description": each.help, "schema": shape}
