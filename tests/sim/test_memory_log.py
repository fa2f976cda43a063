"""The log in memory keeps the contract of the real one, so what is tested on it holds on Kafka."""

from __future__ import annotations

import pytest

from tests.contracts.log_contract import LogContract
from tests.sim.cluster import Cluster
from tests.sim.memory_log import MemoryLog


class MemoryKit:
    """Topics and logs on one cluster."""

    def __init__(self) -> None:
        self.cluster = Cluster()

    def topic(self, partitions: int) -> str:
        name = f"topic-{len(self.cluster.topics)}"
        self.cluster.create(name, partitions)
        return name

    def log(self, worker: str, transaction_timeout_s: float = 15.0) -> MemoryLog:
        return MemoryLog(self.cluster, worker, transaction_timeout_s)


@pytest.fixture
def kit() -> MemoryKit:
    return MemoryKit()


class TestMemoryLog(LogContract):
    """All of the contract."""
