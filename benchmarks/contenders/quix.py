"""Quix Streams and River. The inputs are concatenated, which aligns them by timestamp; the model is in memory.

State is written when a commit is due: everything pickled, in pieces, as a record of the changelog holds 1 MB. A commit
each so many records, not each so many seconds: so that the state that is committed is that of the offsets.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from typing import Any

from quixstreams import Application, State, message_context

from benchmarks.workload import of_environment

PIECE_BYTES = 500_000


def main() -> None:
    """Build the application and run it."""
    run, workload, commit_every = os.environ["BENCH_RUN"], of_environment(), int(os.environ["BENCH_COMMIT_EVERY"])
    app = Application(
        os.environ["BENCH_SERVERS"],
        consumer_group=run,
        auto_offset_reset="earliest",
        processing_guarantee=os.environ["BENCH_GUARANTEE"],
        commit_every=commit_every,
        commit_interval=3_600,
        state_dir=tempfile.mkdtemp(dir=os.environ["BENCH_HOME"]),
        consumer_poll_timeout=0.01,  # with 1 s, the default, it waits so long for each fetch to be full
        max_partition_buffer_size=100_000,
        consumer_extra_config={"fetch.queue.backoff.ms": 50, "fetch.wait.max.ms": 10},
        producer_extra_config={"compression.type": "lz4", "retry.backoff.ms": 5},
        loglevel="WARNING",
    )
    topics = [app.topic(name, value_deserializer="bytes", key_deserializer="bytes") for name in workload.topics]
    frames = [app.dataframe(topic) for topic in topics]
    merged = frames[0]
    for frame in frames[1:]:
        merged = merged.concat(frame)
    loop, taken = None, 0

    def take(value: bytes, _key: bytes, timestamp_ms: int, _headers: Any, state: State) -> bytes | None:
        nonlocal loop, taken
        loop = loop or _restored(state) or workload.loop()
        taken += 1
        said = loop.take(message_context().topic, value, timestamp_ms)
        if taken % commit_every == 0:
            _save(loop, state)
        return said

    said = merged.apply(take, stateful=True, metadata=True).filter(lambda value: value is not None)
    out = app.topic(f"{run}.predictions", value_serializer="bytes", key_serializer="bytes")
    said.to_topic(out)
    app.run()


def _save(loop: Any, state: State) -> None:
    whole = pickle.dumps(loop)
    pieces = [whole[start : start + PIECE_BYTES] for start in range(0, len(whole), PIECE_BYTES)]
    state.set("pieces", len(pieces))
    for number, piece in enumerate(pieces):
        state.set_bytes(f"piece {number}", piece)


def _restored(state: State) -> Any:
    pieces = [state.get_bytes(f"piece {number}") or b"" for number in range(state.get("pieces", 0))]
    return pickle.loads(b"".join(pieces)) if pieces else None  # noqa: S301 - our own state


if __name__ == "__main__":
    main()
