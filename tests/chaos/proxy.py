"""A TCP proxy before the broker that cuts, swallows and delays what one client says and hears. Loopback only.

worker ──▶ port ─ Proxy ─▶ upstream port ── broker

pass        everything, at once
cut         connections are dropped, new ones refused
black hole  connections stay and are accepted, nothing comes through; afterwards they are dropped, as TCP
            would have given them up
delay       every piece waits, one way or both
hold        requests of one kind wait, with all that follows them on their connection, and arrive late even if
            the client has hung up by then: a commit that comes after its worker was replaced
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

LOOPBACK = "127.0.0.1"
END_TXN = 26
"""Kafka's number for the request that commits or aborts a transaction."""

_PIECE_BYTES = 2**16
_ANSWER_S = 10.0
_READ_S = 0.5  # the broker reads a late request before its connection ends with the client's
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a proxy does to its client. Delays are seconds; requests of kind ``held_api`` wait ``held_s``."""

    cut: bool = False
    black_hole: bool = False
    delay_up_s: float = 0.0
    delay_down_s: float = 0.0
    held_api: int | None = None
    held_s: float = 0.0


NONE = Trouble()


class Proxies:
    """An event loop in a thread of its own, and the proxies that live in it. Close it, and all connections end."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self._proxies: list[Proxy] = []

    def add(self, port: int, upstream_port: int) -> Proxy:
        """A proxy that listens on ``port``."""
        proxy = Proxy(self, port, upstream_port)
        self.run(proxy._listen())
        self._proxies.append(proxy)
        return proxy

    def close(self) -> None:
        """End every proxy and the thread."""
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for proxy in self._proxies:
            await proxy._stop_listening()
        # All tasks, not only those of the proxies' own making: one may just be accepting or opening a connection.
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for each in others:
                each.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        for proxy in self._proxies:
            proxy._drop(late=True)
        await asyncio.sleep(0)  # a transport is closed in the loop's next round

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run in the loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_ANSWER_S)


@contextmanager
def proxies() -> Iterator[Proxies]:
    """Proxies for the length of a ``with`` block."""
    made = Proxies()
    try:
        yield made
    finally:
        made.close()


class Proxy:
    """One client's way to the broker. ``trouble`` changes what it does, from any thread; ``held`` counts requests."""

    def __init__(self, owner: Proxies, port: int, upstream_port: int) -> None:
        self.port, self.upstream_port, self.held = port, upstream_port, 0
        self._owner, self._trouble = owner, NONE
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._late: set[asyncio.StreamWriter] = set()  # towards the broker, with a held request still to bring

    def trouble(self, trouble: Trouble) -> None:
        """Do this from now on; ``NONE`` ends it."""
        self._owner.run(self._change(trouble))

    async def _change(self, trouble: Trouble) -> None:
        before, self._trouble = self._trouble, trouble
        if trouble.cut and not before.cut:
            await self._stop_listening()
        if trouble.cut or before.black_hole:
            self._drop()
        if before.cut and not trouble.cut:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _drop(self, late: bool = False) -> None:
        for writer in self._writers - (set() if late else self._late):
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)  # at once: a task that is cancelled before its first step cleans up nothing
        self._start(self._carry(reader, writer))

    def _start(self, carrying: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(carrying)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        broker: asyncio.StreamWriter | None = None
        try:
            answers, broker = await asyncio.open_connection(LOOPBACK, self.upstream_port)
            self._writers.add(broker)
            self._start(self._carry_down(answers, writer))
            await self._carry_up(reader, broker)
        except OSError:
            pass  # the broker is down: so is the way to it
        finally:
            for each in (writer, broker):
                if each is not None:
                    self._writers.discard(each)
                    each.transport.abort()  # it ends the way down as well

    async def _carry_down(self, answers: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await answers.read(_PIECE_BYTES):
                await asyncio.sleep(self._trouble.delay_down_s)
                if not self._trouble.black_hole:
                    client.write(piece)
                    await client.drain()
        client.transport.abort()  # and so the way up ends as well

    async def _carry_up(self, client: asyncio.StreamReader, broker: asyncio.StreamWriter) -> None:
        async for request in _requests(client):
            trouble = self._trouble
            await asyncio.sleep(trouble.delay_up_s)
            if trouble.held_api is not None and _api(request) == trouble.held_api:
                self.held += 1
                self._late.add(broker)
                await asyncio.sleep(trouble.held_s)
                broker.write(request)
                await broker.drain()
                await asyncio.sleep(_READ_S)
                self._late.discard(broker)
            elif not self._trouble.black_hole:
                broker.write(request)
                await broker.drain()


async def _requests(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Kafka's requests, whole: four bytes of length, two that say which kind, the rest. Ends with the connection."""
    with suppress(asyncio.IncompleteReadError, OSError):
        while True:
            length = await reader.readexactly(4)
            yield length + await reader.readexactly(*struct.unpack(">i", length))


def _api(request: bytes) -> int:
    number: int = struct.unpack_from(">h", request, 4)[0]
    return number
