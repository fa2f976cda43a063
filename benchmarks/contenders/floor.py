"""What riverrun reads and writes, without a model, windows, scores or guarantees: the floor of its overhead.

Features, predictions and outcomes go to topics of their own, with riverrun's keys, timestamps and fields.
"""

from __future__ import annotations

from typing import Any

import msgspec

from benchmarks.contenders.by_hand import merged, sender
from benchmarks.workload import EVENTS, LABELS, Labelled, Synthetic, featurizer, of_environment
from streams.records import FeaturesRecord, OutcomeRecord, PredictionRecord

VERSION = "01234567"
"""As long as riverrun's."""


def main() -> None:
    """Read and decode; encode and write the three records of each event."""
    workload = of_environment()
    assert isinstance(workload, Synthetic), "the records of the flights need what a model and windows say"
    decode = msgspec.json.Decoder(workload.event_type()).decode
    decode_label, encode = msgspec.json.Decoder(Labelled).decode, msgspec.json.Encoder().encode
    features, waiting = featurizer(workload.names), dict[str, Any]()
    send, wait = sender()
    for batch in merged(workload.topics, wait):
        for message in batch:
            offset, key, timestamp_ms = message.offset(), message.key(), message.timestamp()[1]
            if message.topic() == EVENTS:
                event = decode(message.value())
                where = (event.id, int(event.at.timestamp() * 1_000), EVENTS, 0, offset)
                x = features(event)
                probability = abs(x["x0"]) % 1  # any number that is another one each time
                said = (*where, workload.model, VERSION, "champion", probability > 0.5, probability, None, [])
                waiting[event.id] = said
                send("features", encode(FeaturesRecord(*where, x)), key, timestamp_ms)
                send("predictions", encode(PredictionRecord(*said)), key, timestamp_ms)
            else:
                label = decode_label(message.value())
                predicted, label_ms = waiting.pop(label.id), int(label.at.timestamp() * 1_000)
                end = ("scored", label.label, label_ms, label_ms - predicted[1], LABELS, offset)
                send("outcomes", encode(OutcomeRecord(*predicted, *end)), key, timestamp_ms)


if __name__ == "__main__":
    main()
