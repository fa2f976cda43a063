"""The bare River loop, in memory: decode, predict, encode; when the label comes, learn."""

from __future__ import annotations

import os

import msgspec

from benchmarks.contenders import timed
from benchmarks.workload import EVENTS, Labelled, Workload, featurizer


def main() -> None:
    """Work through the stream once."""
    workload, events = Workload.of_environment(), int(os.environ["BENCH_EVENTS"])
    rows = list(workload.rows(events))
    decode = msgspec.json.Decoder(workload.event_type()).decode
    decode_label, encode = msgspec.json.Decoder(Labelled).decode, msgspec.json.Encoder().encode
    features, model = featurizer(workload.names), workload.learner()
    waiting, size = {}, 0
    with timed(events):
        for topic, value, _ in rows:
            if topic == EVENTS:
                event = decode(value)
                x = waiting[event.id] = features(event)
                size += len(encode({"id": event.id, "probability": model.predict_proba_one(x).get(True, 0.5)}))
            else:
                label = decode_label(value)
                model.learn_one(waiting.pop(label.id), label.label)
    assert size
    assert not waiting


if __name__ == "__main__":
    main()
