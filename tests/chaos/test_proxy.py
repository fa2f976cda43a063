"""The proxy against a real server that says back what it hears, framed as Kafka frames requests."""

from __future__ import annotations

import gc
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from tests.chaos.ports import quiet_port
from tests.chaos.proxy import END_TXN, LOOPBACK, NONE, Proxy, Trouble, proxies

FETCH = 1


class Server(socketserver.ThreadingTCPServer):
    """Says back each request, and remembers them."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), Echo)
        self.heard: list[bytes] = []

    def has_heard(self, request: bytes, within_s: float) -> bool:
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s and request not in self.heard:
            time.sleep(0.01)
        return request in self.heard


class Echo(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        try:
            while length := self.rfile.read(4):
                request = length + self.rfile.read(*struct.unpack(">i", length))
                self.server.heard.append(request)
                self.wfile.write(request)
        except OSError:
            return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with proxies() as made:
        yield made.add(quiet_port(), server.server_address[1])


def request(text: bytes, api: int = FETCH) -> bytes:
    body = struct.pack(">h", api) + text
    return struct.pack(">i", len(body)) + body


def connect(proxy: Proxy, timeout_s: float = 10.0) -> socket.socket:
    return socket.create_connection((LOOPBACK, proxy.port), timeout=timeout_s)


def ask(client: socket.socket, asked: bytes) -> bytes:
    """The answer; b"" if the connection ended."""
    answer = b""
    with suppress(ConnectionError):
        client.sendall(asked)
        while len(answer) < len(asked) and (piece := client.recv(len(asked))):
            answer += piece
    return answer


def asked_in_s(client: socket.socket, asked: bytes) -> float:
    began_s = time.monotonic()
    assert ask(client, asked) == asked
    return time.monotonic() - began_s


def test_without_trouble_everything_comes_through_whole(proxy: Proxy):
    with connect(proxy) as client:
        for asked in (request(b"a"), request(b"b" * 300_000), request(b"")):
            assert ask(client, asked) == asked


def test_a_cut_drops_connections_and_refuses_new_ones_until_it_ends(proxy: Proxy):
    with connect(proxy) as client:
        assert ask(client, request(b"before"))
        proxy.trouble(Trouble(cut=True))
        assert ask(client, request(b"during")) == b""
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
    proxy.trouble(NONE)
    with connect(proxy) as client:
        assert ask(client, request(b"after"))


def test_a_black_hole_accepts_and_swallows_and_then_drops_what_it_swallowed_from(proxy: Proxy, server: Server):
    proxy.trouble(Trouble(black_hole=True))
    with connect(proxy, timeout_s=0.5) as client:
        with pytest.raises(TimeoutError):
            ask(client, request(b"lost"))
        proxy.trouble(NONE)
        client.settimeout(10)
        assert ask(client, request(b"late")) == b""
    with connect(proxy) as client:
        assert ask(client, request(b"after"))
    assert request(b"lost") not in server.heard


@pytest.mark.parametrize("trouble", [Trouble(delay_up_s=0.3), Trouble(delay_down_s=0.3)])
def test_a_delay_works_either_way(proxy: Proxy, trouble: Trouble):
    with connect(proxy) as client:
        assert asked_in_s(client, request(b"quick")) < 0.3
        proxy.trouble(trouble)
        assert asked_in_s(client, request(b"slow")) >= 0.3


def test_a_held_request_arrives_late_and_the_others_at_once(proxy: Proxy):
    proxy.trouble(Trouble(held_api=END_TXN, held_s=0.5))
    with connect(proxy) as client:
        assert asked_in_s(client, request(b"fetch")) < 0.5
        assert asked_in_s(client, request(b"commit", END_TXN)) >= 0.5
    assert proxy.held == 1


def test_a_held_request_arrives_though_its_client_has_hung_up_and_the_network_was_cut(proxy: Proxy, server: Server):
    commit = request(b"commit", END_TXN)
    proxy.trouble(Trouble(held_api=END_TXN, held_s=0.5))
    with connect(proxy) as client:
        client.sendall(commit)
        while not proxy.held:
            time.sleep(0.01)
    proxy.trouble(Trouble(cut=True))
    assert commit not in server.heard
    assert server.has_heard(commit, within_s=10)


def test_a_server_that_is_gone_ends_the_connection(proxy: Proxy, server: Server):
    server.shutdown()
    server.server_close()
    with connect(proxy) as client:
        assert ask(client, request(b"anybody?")) == b""


def test_closing_amid_new_connections_leaves_none_of_them_open(server: Server):
    def knock(proxy: Proxy, inside: threading.Event) -> None:
        with ExitStack() as clients, suppress(OSError):
            for _ in range(500):
                clients.enter_context(connect(proxy))
                inside.set()

    for _ in range(10):
        inside = threading.Event()
        with proxies() as made:
            proxy = made.add(quiet_port(), server.server_address[1])
            knocking = threading.Thread(target=knock, args=(proxy, inside))
            knocking.start()
            assert inside.wait(10)
        knocking.join()
    gc.collect()  # what is left open says so, and warnings are errors


def test_closing_leaves_no_thread_behind(server: Server):
    before = threading.active_count()
    with proxies() as made, connect(made.add(quiet_port(), server.server_address[1])) as client:
        ask(client, request(b"x"))
    made_by_us: list[Any] = [thread for thread in threading.enumerate() if thread.name == "proxies"]
    assert not made_by_us
    assert threading.active_count() <= before + 1  # the server's, for the connection that ends
