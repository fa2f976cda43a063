"""The sources: they publish a schedule's history, in transactions that commit, abort or are never heard of again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from streams.ports import Record
from tests.sim.cluster import Cluster, Transaction
from tests.sim.schedule import CLOSING_MS, Publication
from tests.streams.kit import T0_MS

HANGING_TIMEOUT_S = 6.0
"""After which the coordinator aborts a source's transaction that is not ended."""


class Sources:
    """All that is published, and when. ``fired`` counts the transactions that do not commit."""

    def __init__(self, cluster: Cluster, history: Iterable[Publication], fired: Counter[str]) -> None:
        self._cluster, self._fired = cluster, fired
        self._waiting = sorted(history, key=lambda each: each.turn, reverse=True)
        self._open: list[tuple[int, Transaction, bool]] = []  # the turn it ends in, whether it commits

    def publish(self, turn: int) -> None:
        """Begin and end what is due in this turn."""
        for each in [each for each in self._open if each[0] <= turn]:
            self._open.remove(each)
            self._cluster.end(each[1], each[2])
        while self._waiting and self._waiting[-1].turn <= turn:
            self._begin(self._waiting.pop(), turn)

    def _begin(self, publication: Publication, turn: int) -> None:
        hangs, commits = publication.fate == "hang", publication.fate == "commit"
        transaction = self._cluster.start(HANGING_TIMEOUT_S if hangs else math.inf)
        for record in publication.records:
            self._cluster.append(publication.topic, publication.partition, record, transaction)
        if hangs:
            self._fired["input: transaction left open"] += 1
            return
        self._fired["input: aborted transaction"] += not commits
        if publication.open_turns:
            self._open.append((turn + publication.open_turns, transaction, commits))
        else:
            self._cluster.end(transaction, commits)

    def done(self) -> bool:
        """Whether all is published and no transaction of a source is open."""
        return not self._waiting and not self._open and not self._cluster.open_elsewhere()

    def close(self, inputs: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Publish a record later than all others to each of these, so that no input keeps another waiting for ever.

        Returns the offsets of the last records before them, -1 where there is none.
        """
        last = {}
        for topic, partition in inputs:
            records = self._cluster.committed(topic, partition)
            last[topic, partition] = records[-1].offset if records else -1
            self._cluster.put(topic, partition, Record(-1, T0_MS + CLOSING_MS, b"nyc", b"closing"))
        return last
