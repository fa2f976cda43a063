"""Faust and River: one agent on all inputs; the loop is pickled into a table with a changelog, each so many records."""

from __future__ import annotations

import os
import pickle
import tempfile

import faust

from benchmarks.workload import of_environment

PIECE_BYTES = 500_000


def main() -> None:
    """Build the application and run a worker."""
    run, workload, save_every = os.environ["BENCH_RUN"], of_environment(), int(os.environ["BENCH_COMMIT_EVERY"])
    app = faust.App(
        run,
        broker=f"kafka://{os.environ['BENCH_SERVERS']}",
        datadir=tempfile.mkdtemp(dir=os.environ["BENCH_HOME"]),
        topic_partitions=1,
        producer_compression_type="lz4",
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
    )
    inputs = app.topic(*workload.topics, key_serializer="raw", value_serializer="raw")
    out = app.topic(f"{run}.predictions", key_serializer="raw", value_serializer="raw")
    pieces = app.Table(
        "pieces", partitions=1, schema=faust.Schema(key_type=str, value_type=bytes, value_serializer="raw")
    )

    @app.agent(inputs)
    async def learn(stream):  # type: ignore[no-untyped-def]
        saved = b"".join(pieces[name] for name in sorted(pieces))
        loop = pickle.loads(saved) if saved else workload.loop()  # noqa: S301 - our own state
        taken = 0
        async for event in stream.events():
            message = event.message
            said = loop.take(message.topic, event.value, int(message.timestamp * 1_000))
            if said is not None:
                await out.send(key=event.key, value=said)
            taken += 1
            if taken % save_every == 0:
                whole = pickle.dumps(loop)
                for number, start in enumerate(range(0, len(whole), PIECE_BYTES)):
                    pieces[f"{number:05}"] = whole[start : start + PIECE_BYTES]

    faust.Worker(app, loglevel="WARNING").execute_from_commandline()


if __name__ == "__main__":
    main()
