"""confluent-kafka and River by hand, as one writes it first. The model lives in memory and dies with the process."""

from __future__ import annotations

from benchmarks.contenders.by_hand import merged, sender
from benchmarks.workload import of_environment


def main() -> None:
    """Read, predict, learn, write."""
    workload = of_environment()
    loop = workload.loop()
    send, wait = sender()
    for batch in merged(workload.topics, wait):
        for message in batch:
            timestamp_ms = message.timestamp()[1]
            said = loop.take(message.topic(), message.value(), timestamp_ms)
            if said is not None:
                send("predictions", said, message.key(), timestamp_ms)


if __name__ == "__main__":
    main()
