"""confluent-kafka and River by hand, as one writes it first. The model lives in memory and dies with the process."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from benchmarks.contenders import timed
from benchmarks.contenders.kafka_loop import batches, sender
from benchmarks.workload import EVENTS, Labelled, Workload, featurizer


def main() -> None:
    """Read, predict, learn, write."""
    workload, events = Workload.of_environment(), int(os.environ["BENCH_EVENTS"])
    decode = msgspec.json.Decoder(workload.event_type()).decode
    decode_label, encode = msgspec.json.Decoder(Labelled).decode, msgspec.json.Encoder().encode
    features, model = featurizer(workload.names), workload.learner()
    waiting: dict[str, Any] = {}
    early: dict[str, bool] = {}  # the topics are not read in step
    send, wait = sender()
    with timed(events):
        for batch in batches(2 * events + 2):
            for message in batch:
                if message.topic() == EVENTS:
                    event = decode(message.value())
                    x = features(event)
                    send(encode({"id": event.id, "probability": model.predict_proba_one(x).get(True, 0.5)}))
                    if event.id in early:
                        model.learn_one(x, early.pop(event.id))
                    else:
                        waiting[event.id] = x
                else:
                    label = decode_label(message.value())
                    if label.id in waiting:
                        model.learn_one(waiting.pop(label.id), label.label)
                    else:
                        early[label.id] = label.label
            wait()
    assert not early


if __name__ == "__main__":
    main()
