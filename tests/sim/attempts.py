"""The Attempts port in memory."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class MemoryAttempts:
    """Attempts that outlive a worker."""

    attempts: dict[int, bytes] = field(default_factory=dict)

    def load(self, partition: int) -> bytes | None:
        return self.attempts.get(partition)

    def save(self, partition: int, attempt: bytes) -> None:
        self.attempts[partition] = attempt

    def clear(self, partition: int) -> None:
        self.attempts.pop(partition, None)
