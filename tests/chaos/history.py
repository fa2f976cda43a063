"""What happens in the world, by seed: rides, fares and the sky, late, doubled, corrected, shuffled, torn.

    published   r1  s  r2  f2  r2  f1  f1'  ×  f9  …  s₀ f₀ r₀          r ride, f fare, s sky; × no JSON
                        early ─┘   doubled  │  orphan  closing          f1' another fare of the same ride
                                            corrected

The same seed gives the same messages in the same order, so a producer that starts over goes on where it was.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple
from zlib import crc32

import msgspec

from tests.chaos.pipelines.rides import FARES, PARTITIONS, RIDES, SKY

T0_MS = 1_700_000_000_000
RIDE_EVERY_MS = 10
SKY_EVERY_MS = 200
TAIL_MS = 180_000
"""From the last ride to the closing records: after the latest fare, and after the last ride without one has expired."""

CITIES = tuple(f"city {number}" for number in range(24))
TORN = (b"{", b"", b'{"ride": 3}', b"\xff\xfe", b'{"ride":"x","city":"y","at_ms":1,"km":1e400}', b"[" * 5_000)


class Message(NamedTuple):
    """One record to publish, and when: ms of the world's time, that of the records' timestamps."""

    due_ms: int
    topic: str
    partition: int
    key: bytes
    value: bytes
    timestamp_ms: int


@dataclass
class History:
    """The world of a seed.

    Examples
    --------
    >>> first, again = list(History(7, 500).messages()), list(History(7, 500).messages())
    >>> first == again, first == list(History(8, 500).messages()), sum(m.topic == RIDES for m in first) >= 500
    (True, False, True)
    >>> {(m.topic, m.partition) for m in first[-12:]} == {(t, p) for t in (RIDES, FARES, SKY) for p in range(4)}
    True
    """

    seed: int
    rides: int
    _draw: random.Random = field(init=False)
    _waiting: list[tuple[int, int, Message]] = field(init=False)  # a heap by (due, number)
    _number: int = field(init=False)

    @property
    def span_ms(self) -> int:
        """From the first record to the closing ones, ms of the world's time."""
        return self.rides * RIDE_EVERY_MS + TAIL_MS

    def messages(self) -> Iterator[Message]:
        """Every message, in the order of publishing."""
        self._draw, self._waiting, self._number = random.Random(self.seed), [], 0
        rain = dict.fromkeys(CITIES, 0.0)
        for number in range(self.rides):
            now_ms = T0_MS + number * RIDE_EVERY_MS
            if number % (SKY_EVERY_MS // RIDE_EVERY_MS) == 0:
                city = self._draw.choice(CITIES)
                rain[city] = round(self._draw.random(), 3)
                self._publish(now_ms, SKY, city, now_ms, {"rain": rain[city]})
            self._ride(number, now_ms, rain)
            yield from self._until(now_ms)
        yield from self._until(T0_MS + self.span_ms)
        yield from self._closing(T0_MS + self.span_ms)

    def _ride(self, number: int, now_ms: int, rain: dict[str, float]) -> None:
        draw = self._draw
        city, km = draw.choice(CITIES), round(draw.expovariate(1 / 8), 2)
        at_ms, row = now_ms + draw.randrange(RIDE_EVERY_MS), {"ride": f"ride {number}", "km": km}
        shuffled_ms = draw.randrange(3_000) if draw.random() < 0.1 else 0
        self._publish(at_ms + shuffled_ms, RIDES, city, at_ms, row)
        if draw.random() < 0.01:
            self._publish(at_ms + draw.randrange(5_000), RIDES, city, at_ms, row)
        if draw.random() < 0.005:
            self._put(at_ms, draw.choice((RIDES, FARES, SKY)), city, at_ms, draw.choice(TORN))
        pace = 2.0 if number < self.rides / 2 else 3.0  # the world changes halfway: drift
        minutes = round(km * pace * (1 + rain[city]) + draw.gauss(0, 3), 2)
        self._fares(f"ride {number}", city, at_ms, minutes)

    def _fares(self, ride: str, city: str, at_ms: int, minutes: float) -> None:
        """In 100 rides: 92 fares in time (2 of them before the ride, 3 twice, 1 corrected), 1 after it has expired."""
        draw = self._draw
        fate = draw.random()
        delay_ms = 500 + min(round(draw.expovariate(1 / 10_000)), 90_000)
        if fate < 0.92:
            if fate < 0.02:
                delay_ms = -draw.randrange(1, 1_000)
            self._fare(ride, city, at_ms, delay_ms, minutes)
        if 0.02 < fate < 0.06:
            other = minutes if fate < 0.05 else minutes + 30
            self._fare(ride, city, at_ms, delay_ms + draw.randrange(10_000), other)
        if 0.92 < fate < 0.93:
            self._fare(ride, city, at_ms, draw.randrange(130_000, 160_000), minutes)
        if 0.93 < fate < 0.935:
            self._fare(f"nobody's {ride}", city, at_ms, delay_ms, minutes)

    def _fare(self, ride: str, city: str, at_ms: int, delay_ms: int, minutes: float) -> None:
        at_ms += delay_ms
        late_ms = self._draw.randrange(2_000) if self._draw.random() < 0.05 else 0
        self._publish(at_ms + late_ms, FARES, city, at_ms, {"ride": ride, "minutes": minutes})

    def _closing(self, at_ms: int) -> Iterator[Message]:
        """The end of each input. Of these a task takes the sky's, as references come first: then it waits for more."""
        for partition in range(PARTITIONS):
            closing = {"city": "closing", "at_ms": at_ms}
            rows = {RIDES: {"ride": "closing", "km": 0.0}, FARES: {"ride": "closing", "minutes": 0.0}, SKY: {"rain": 0}}
            for topic, row in rows.items():
                yield Message(at_ms, topic, partition, b"closing", msgspec.json.encode(closing | row), at_ms)

    def _publish(self, due_ms: int, topic: str, city: str, at_ms: int, row: dict[str, object]) -> None:
        self._put(due_ms, topic, city, at_ms, msgspec.json.encode({"city": city, "at_ms": at_ms} | row))

    def _put(self, due_ms: int, topic: str, city: str, at_ms: int, value: bytes) -> None:
        key = city.encode()
        message = Message(due_ms, topic, crc32(key) % PARTITIONS, key, value, at_ms)
        heappush(self._waiting, (due_ms, self._number, message))
        self._number += 1

    def _until(self, now_ms: int) -> Iterator[Message]:
        while self._waiting and self._waiting[0][0] <= now_ms:
            yield heappop(self._waiting)[2]
