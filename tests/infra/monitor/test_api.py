"""The API: what it says is what its document promises, to those who may ask, and never a secret."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import Request, urlopen

import msgspec
import pytest

from infra.monitor import answers
from infra.monitor.address import Address
from infra.monitor.routes import ROUTES, document
from infra.settings import Settings
from streams.errors import Declined
from tests.faults.real import Real
from tests.infra.monitor.running import TOKEN, Monitor

KEY = "canary-signing-key-0123456789"
ONE = "/api/pipelines/{name}"


@pytest.fixture
def monitor(real: Callable[..., Real]) -> Iterator[tuple[Monitor, Real]]:
    """With a token, beside a worker that has something to report."""
    made = real(partitions=2)
    made.publish(400)
    made.send_raw("asked", b'{"id": "\x1b[31m<script>')
    made.close()
    made.worker("1")
    secrets = {"RIVERRUN_MONITOR_TOKEN": TOKEN, "RIVERRUN_SIGNING_KEY": KEY}
    with Monitor(made, env=secrets) as running:
        running.until(lambda: has_windows(running, made))
        made.until_done()
        yield running, made


def has_windows(monitor: Monitor, made: Real) -> bool:
    status, said, _ = monitor.ask(f"/api/pipelines/{made.name}/windows")
    return status == 200 and len(said["windows"]) > 2


@pytest.mark.broker
def test_it_says_what_its_document_promises_and_no_secret(monitor: tuple[Monitor, Real]) -> None:
    running, made = monitor
    seen = [running.log.read_text()]
    for route in ROUTES:
        if route.answer is None:
            continue
        body = {"action": "promote", "model": "tree", "by": "ann", "why": "to see"} if route.body else None
        body = {} if body is None and route.method == "POST" else body
        status, said, headers = running.ask(route.path.replace("{name}", made.name), body)
        assert status == 200, (route, said)
        assert msgspec.to_builtins(msgspec.convert(said, route.answer)) == said, route
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        seen += [json.dumps(said), str(headers)]
    for path, body in (
        ("/nowhere", None),
        (f"{ONE}/windows?last=0", None),
        (f"{ONE}/decisions", {"action": "explode"}),
    ):
        status, said, headers = running.ask(path.replace("{name}", made.name), body)
        assert status in (400, 404)
        assert msgspec.convert(said, answers.Problem).remedy
        seen += [json.dumps(said), str(headers)]
    for secret in (TOKEN, KEY):
        assert not [text for text in seen if secret in text]


@pytest.mark.broker
def test_it_tells_of_the_pipeline_and_takes_decisions(monitor: tuple[Monitor, Real]) -> None:
    running, made = monitor
    path = f"/api/pipelines/{made.name}"
    overview = msgspec.convert(running.ask(path)[1], answers.Overview)
    assert [task.task for task in overview.tasks] == [0, 1]
    assert all(task.journal_sequence is not None for task in overview.tasks)
    assert overview.cumulative is not None
    assert {model.model for model in overview.cumulative.models} == {"logistic", "tree"}
    (reject,) = [r for r in running.ask(f"{path}/rejects")[1]["rejects"] if r["reason"] == "json"]
    assert reject["value"] == '{"id": "\\x1b[31m<script>'
    asked = {"action": "pause", "by": "ann", "why": "bad labels"}
    status, said, _ = running.ask(f"{path}/decisions", asked)
    assert (status, said["waiting"], [each["obeyed"] for each in said["answers"]]) == (200, [], [True, True])
    running.until(lambda: running.ask(path)[1]["paused_tasks"] == [0, 1])
    known = running.ask(f"{path}/decisions")[1]
    (decided,) = known["decisions"]
    assert (decided["why"], len(decided["answers"]), known["obeyed"]) == ("bad labels", 2, 1)
    status, said, _ = running.ask(f"{path}/decisions", asked | {"action": "resume", "after": 0})
    assert {answer["reason"] for answer in said["answers"]} == {
        "stale: it was taken after 0 decisions, by now 1 were obeyed"
    }
    status, said, _ = running.ask(f"{path}/decisions", asked | {"action": "resume", "after": 1})
    assert [answer["obeyed"] for answer in said["answers"]] == [True, True]


@pytest.mark.broker
def test_who_may_not_ask_is_told_so(monitor: tuple[Monitor, Real]) -> None:
    running, made = monitor
    path = f"/api/pipelines/{made.name}"
    own = f"http://127.0.0.1:{running.port}"
    assert running.ask(path, headers={"Authorization": "Bearer wrong"})[0] == 401
    assert running.ask(path, headers={"Host": "evil.example"})[0] == 421
    assert running.ask(path, headers={"Origin": "http://evil.example"})[0] == 403
    assert running.ask(path, headers={"Origin": own})[0] == 200
    asked = {"action": "pause", "by": "ann", "why": ""}
    assert running.ask(f"{path}/decisions", asked, {"Authorization": ""})[0] == 401
    assert running.ask(f"{path}/decisions", asked, {"Origin": "null"})[0] == 403
    data = Request(f"{own}{path}/decisions", b"{}", {"Authorization": f"Bearer {TOKEN}"})
    with pytest.raises(Exception, match="403"):
        urlopen(data, timeout=10)
    cookie = running.ask("/api/session", {})[2]["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    running.token = None
    assert running.ask(path, headers={"Cookie": cookie.partition(";")[0]})[0] == 200
    assert running.ask(path)[0] == 401


@pytest.mark.broker
def test_listeners_are_told_what_changed_however_slow_another_is(monitor: tuple[Monitor, Real]) -> None:
    running, made = monitor
    slow = [listening(running) for _ in range(3)]  # these never read
    with listening(running) as ours, ours.makefile("rb") as lines:
        while b"data:" not in (line := lines.readline()):
            assert line
        assert json.loads(line.partition(b":")[2]) == {"pipelines": [made.name], "what": {made.name: ["everything"]}}
        running.ask(f"/api/pipelines/{made.name}/decisions", {"action": "pause", "by": "ann", "why": ""})
        while b"data:" not in lines.readline():
            pass
    for each in slow:
        each.close()
    assert running.ask("/healthz")[0] == 200


def listening(running: Monitor) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", running.port or 0), timeout=30)
    made.sendall(
        f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode(),
    )
    return made


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.com"])
def test_others_are_served_only_with_a_token(host: str) -> None:
    with pytest.raises(Declined, match="without a token"):
        Address(host).refuse_open(Settings(bootstrap_servers="kafka:9092"))
    Address(host).refuse_open(Settings(bootstrap_servers="kafka:9092", monitor_token=TOKEN))


def test_the_document_has_each_route_and_every_reference_resolves() -> None:
    made = document("1")
    assert made["openapi"].startswith("3.1")
    paths = {(method.upper(), path) for path, methods in made["paths"].items() for method in methods}
    assert paths == {(route.method, route.path) for route in ROUTES}
    assert list(references(made))
    for reference in references(made):
        assert reference.rpartition("/")[2] in made["components"]["schemas"], reference


def references(node: Any) -> Iterator[str]:
    """All references in a document."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list | tuple):
        for each in node:
            yield from references(each)
