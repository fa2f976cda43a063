"""What riverrun reads and writes, without a model, windows, scores or guarantees: the floor of its overhead."""

from __future__ import annotations

import os

import msgspec

from benchmarks.contenders import timed
from benchmarks.contenders.kafka_loop import batches, sender
from benchmarks.workload import EVENTS, Labelled, Workload, featurizer
from streams.records import FeaturesRecord, OutcomeRecord, PredictionRecord


def main() -> None:
    """Read and decode; encode and write the three records of each event."""
    workload, events = Workload.of_environment(), int(os.environ["BENCH_EVENTS"])
    decode = msgspec.json.Decoder(workload.event_type()).decode
    decode_label, encode = msgspec.json.Decoder(Labelled).decode, msgspec.json.Encoder().encode
    features = featurizer(workload.names)
    send, wait = sender()
    said = (workload.model, "12345678", "champion", True, 0.123456789, None, [])
    with timed(events):
        for batch in batches(2 * events + 2):
            for message in batch:
                offset = message.offset()
                if message.topic() == EVENTS:
                    event = decode(message.value())
                    time_ms = int(event.at.timestamp() * 1_000)
                    send(encode(FeaturesRecord(event.id, time_ms, EVENTS, 0, offset, features(event))))
                    send(encode(PredictionRecord(event.id, time_ms, EVENTS, 0, offset, *said)))
                else:
                    label = decode_label(message.value())
                    time_ms = int(label.at.timestamp() * 1_000)
                    end = ("scored", label.label, time_ms, 1_000, EVENTS, offset)
                    send(encode(OutcomeRecord(label.id, time_ms, EVENTS, 0, offset, *said, *end)))
            wait()


if __name__ == "__main__":
    main()
