"""``riverrun tail``: watch a topic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from streams.errors import Declined


def tail(
    topic: Annotated[str, typer.Argument(help="What to watch.")],
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="All records, not only new ones.")] = False,
    count: Annotated[int | None, typer.Option("-n", min=1, help="Stop after so many records.")] = None,
    follow: Annotated[bool, typer.Option(help="Wait for more; --no-follow reads all there is and stops.")] = True,
    where: Annotated[list[str] | None, typer.Option(help="Only records with field=value; a.b goes inside.")] = None,
) -> None:
    """Print committed records: JSON lines when piped, coloured at a terminal."""
    from itertools import islice

    from rich.console import Console

    from connectors.kafka_errors import translated
    from infra.settings import Settings

    console = Console()
    wanted = [condition(text) for text in where or []]
    with translated(f"tail {topic}"):
        found = (
            record
            for record in _records(
                Settings.load().kafka_python(), topic, beginning=from_beginning or not follow, follow=follow
            )
            if all(_get(record["value"], path) == value for path, value in wanted)
        )
        for record in islice(found, count):
            _print(console, topic, record)


def condition(text: str) -> tuple[list[str], str]:
    """``a.b=c`` as the way to a field and the text its value must have.

    >>> condition("shadows.0.model=tree")
    (['shadows', '0', 'model'], 'tree')
    """
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise Declined(f"{text!r} is no condition", remedy="--where field=value")
    return path.split("."), value


def _get(value: Any, path: list[str]) -> str | None:
    """The value at a path as text, JSON for all but text.

    >>> _get({"a": [{"b": True}]}, ["a", "0", "b"]), _get({"a": 1}, ["a", "b"])
    ('true', None)
    """
    import msgspec

    for name in path:
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _records(config: dict[str, Any], topic: str, *, beginning: bool, follow: bool) -> Iterator[dict[str, Any]]:
    from kafka import KafkaConsumer, TopicPartition

    from connectors.kafka_scan import partitions_of

    with KafkaConsumer(**config, isolation_level="read_committed", enable_auto_commit=False) as consumer:
        parts = [TopicPartition(topic, partition) for partition in partitions_of(consumer, topic)]
        consumer.assign(parts)
        (consumer.seek_to_beginning if beginning else consumer.seek_to_end)()
        ends = consumer.end_offsets(parts)
        while follow or any(consumer.position(part) < ends[part] for part in parts):
            for batch in consumer.poll(timeout_ms=200).values():
                for record in batch:
                    yield {
                        "partition": record.partition,
                        "offset": record.offset,
                        "timestamp_ms": record.timestamp,
                        "key": None if record.key is None else record.key.decode(errors="backslashreplace"),
                        "value": _value(record.value),
                    }


def _value(value: bytes | None) -> Any:
    """The record's value: parsed where it is JSON, else as text."""
    import msgspec

    if value is None:
        return None
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return value.decode(errors="backslashreplace")


def _print(console: Any, topic: str, record: dict[str, Any]) -> None:
    import msgspec
    from rich.text import Text

    if not console.is_terminal:
        typer.echo(msgspec.json.encode(record))
        return
    where = f"{topic}[{record['partition']}]@{record['offset']}"
    console.print(Text(where, style="bold"), Text(str(record["key"]), style="cyan"))
    console.print_json(msgspec.json.encode(record["value"]).decode())
