"""``riverrun publish``: JSON lines onto a topic."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated, Any, NamedTuple

import typer

from streams.errors import Declined


class Line(NamedTuple):
    """One record to publish."""

    key: bytes | None
    value: bytes
    timestamp_ms: int | None


def publish(
    topic: Annotated[str, typer.Argument(help="Where to. It must exist.")],
    file: Annotated[Path | None, typer.Argument(help="JSON lines; - or nothing is standard input.")] = None,
    key: Annotated[
        str | None, typer.Option(help="The field that is the key: it chooses the partition, as in Java.")
    ] = None,
    timestamp: Annotated[
        str | None, typer.Option(help="The field with the event time: ISO text or ms. Else: now.")
    ] = None,
) -> None:
    """Publish JSON lines from a file or standard input. Stops at the first line that is no JSON object."""
    from kafka import KafkaConsumer, KafkaProducer

    from connectors.kafka_errors import translate, translated
    from connectors.kafka_scan import partitions_of
    from infra.settings import Settings

    config = Settings.load().kafka_python()
    sent, failures = 0, list[BaseException]()
    with translated(f"publish to {topic}"):
        with KafkaConsumer(**config, enable_auto_commit=False) as consumer:
            partitions_of(consumer, topic)
        with KafkaProducer(**config, acks="all", linger_ms=20) as producer, _opened(file) as lines:
            try:
                for line in read_lines(lines, key, timestamp):
                    future = producer.send(topic, line.value, line.key, timestamp_ms=line.timestamp_ms)
                    future.add_errback(failures.append)
                    sent += 1
                    if failures:
                        break
            finally:
                producer.flush(timeout=60)
                typer.echo(f"{sent - len(failures):,} records published to {topic}", err=True)
    if failures:
        raise translate(failures[0], f"publish to {topic}") from failures[0]


def read_lines(lines: Iterable[bytes], key: str | None, timestamp: str | None) -> Iterable[Line]:
    """JSON lines as records; the value stays as it was written.

    Raises
    ------
    Declined
        A line is no JSON object, or lacks a field that was named.

    Examples
    --------
    >>> list(read_lines([b'{"origin": "EWR", "at": "1970-01-01T00:00:01Z"}\\n', b"\\n"], "origin", "at"))
    [Line(key=b'EWR', value=b'{"origin": "EWR", "at": "1970-01-01T00:00:01Z"}', timestamp_ms=1000)]
    """
    import msgspec

    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Declined(
                f"no JSON object: {error}", where=f"line {number}", remedy="one JSON object a line"
            ) from error
        yield Line(
            None if key is None else _text(_field(fields, key, number)).encode(),
            line.strip(),
            None if timestamp is None else _ms(_field(fields, timestamp, number), number),
        )


def _field(fields: dict[str, Any], name: str, number: int) -> Any:
    if fields.get(name) is None:
        raise Declined(f"no field {name!r}", where=f"line {number}", remedy=f"it has {', '.join(fields) or 'none'}")
    return fields[name]


def _text(value: Any) -> str:
    import msgspec

    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _ms(value: Any, number: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise Declined(f"{value!r} is no time", where=f"line {number}", remedy="ISO text or ms") from error
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)


def _opened(file: Path | None) -> IO[bytes]:
    from contextlib import nullcontext

    if file is None or str(file) == "-":
        return nullcontext(sys.stdin.buffer)  # type: ignore[return-value]
    if not file.is_file():
        raise Declined(f"{file} is not a file", remedy="name one, or - for standard input")
    return file.open("rb")
