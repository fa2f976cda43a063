"""The records of a measurement: made up from types, or the user's own."""

from __future__ import annotations

import enum
import json
import uuid
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta
from river.linear_model import LogisticRegression

from infra.bench.draw import drawer
from infra.bench.recorded import Recorded
from infra.bench.stream import MadeUp
from models import Learner
from streams import Category, Event, Events, Labels, Pipeline, Range, Reference
from streams.errors import Declined
from streams.schema import Decoder


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Inner(msgspec.Struct):
    depth: Annotated[int, Meta(ge=1, le=3)]


class Seen(Event):
    id: str
    key: str
    at: datetime
    number: float
    positive: Annotated[float, Meta(gt=0)]
    bounded: Annotated[int, Meta(ge=-5, lt=5)]
    even: Annotated[int, Meta(multiple_of=2)]
    flag: bool
    colour: Colour
    channel: Literal["shop", "web"]
    code: Annotated[str, Meta(min_length=6, max_length=8)]
    tags: list[str]
    pair: tuple[int, str]
    more: dict[str, float]
    inner: Inner
    day: date
    later: datetime
    token: uuid.UUID
    perhaps: int | None
    ruled: str
    ranged: int
    renamed: int = msgspec.field(name="another")


class Told(Event):
    event: str
    key: str
    time_ms: int
    yes: bool


class Limit(Event):
    key: str
    at: datetime
    limit: float


def features(event: Any, _now: Any) -> dict[str, Any]:
    return {"number": event.number}


def yes(label: Any) -> bool:
    return label.yes  # type: ignore[no-any-return]


def pipeline_of(seen: type[Event] = Seen) -> Pipeline:
    clean = [Category("ruled", {"a", "b"}), Range("ranged", 10, 20)] if seen is Seen else []
    return Pipeline(
        name="made-up",
        events=Events("seen", seen, key="key", time="at", id="id", clean=clean),
        labels=Labels("told", Told, key="key", time="time_ms", joins="event", expire_after=timedelta(minutes=1)),
        references=[Reference("limits", Limit, key="key", time="at")],
        features=features,
        target=yes,
        champion=Learner("logistic", LogisticRegression()),
    )


def rows_of(pipeline: Pipeline, count: int = 3_000) -> Any:
    return list(islice(MadeUp(pipeline, 50, 100, 1_700_000_000_000).rows(lambda: 1.0), count))


def test_made_up_records_are_what_their_types_and_rules_ask_for():
    pipeline = pipeline_of()
    decoders = {each.topic: Decoder(each.type) for each in pipeline.inputs}
    for row in rows_of(pipeline):
        decoded = decoders[row.topic](row.value)
        assert row.key.decode() == decoded.key  # type: ignore[attr-defined]
        if row.topic == "seen":
            assert [rule(decoded) for rule in pipeline.events.clean] == [None, None]


def test_they_come_by_time_and_each_label_after_its_event():
    rows = rows_of(pipeline_of())
    assert [row.timestamp_ms for row in rows] == sorted(row.timestamp_ms for row in rows)
    events = {json.loads(row.value)["id"]: row for row in rows if row.topic == "seen"}
    labels = [(json.loads(row.value)["event"], row) for row in rows if row.topic == "told"]
    assert len(labels) > 1_000
    for name, row in labels:
        assert row.timestamp_ms - events[name].timestamp_ms == 100
        assert row.key == events[name].key
    assert rows[0].topic == "limits", "a reference before its first event"
    assert len({row.key for row in rows}) == 50


def test_labels_follow_the_events_so_that_there_is_something_to_learn():
    rows = rows_of(pipeline_of())
    numbers = {json.loads(row.value)["id"]: json.loads(row.value)["number"] for row in rows if row.topic == "seen"}
    labels = [json.loads(row.value) for row in rows if row.topic == "told"]
    agree = sum((numbers[label["event"]] >= 0) == label["yes"] for label in labels) / len(labels)
    assert 0.8 < agree < 0.98


def test_a_type_that_cannot_be_drawn_is_named_with_the_way_out():
    class Coded(Event):
        id: str
        key: str
        at: datetime
        code: Annotated[str, Meta(pattern="^[A-Z]{3}$")]

    with pytest.raises(Declined, match=r"no values can be made up for Coded\.code: text that matches") as declined:
        MadeUp(pipeline_of(Coded), 50, 100, 0)
    assert "--records" in declined.value.remedy
    with pytest.raises(Declined, match=r"for Any\.raw: Raw"):
        drawer(msgspec.Raw, "Any.raw")


def write(folder: Any, events: int = 200) -> None:
    keys = ["hot"] * 3 + ["cold"]
    at = [f"2026-03-01T09:00:{n // 10:02}.{n % 10}00Z" for n in range(events)]
    seen = [{"id": f"p{n}", "key": keys[n % 4], "at": at[n], "number": n} for n in range(events)]
    told = [
        {"event": f"p{n}", "key": keys[n % 4], "time_ms": 1_772_355_600_500 + 100 * n, "yes": True}
        for n in range(events)
    ]
    for topic, records in (("seen", seen), ("told", told)):
        (folder / f"{topic}.jsonl").write_text("\n".join(json.dumps(record) for record in records))


def test_recorded_records_come_again_later_and_under_other_names(tmp_path):
    write(tmp_path)
    recorded = Recorded(pipeline_of(), tmp_path)
    assert recorded.hottest_key == 0.75
    rows = list(islice(recorded.rows(lambda: 1.0), 1_000))
    assert [row.timestamp_ms for row in rows] == sorted(row.timestamp_ms for row in rows)
    names = Counter(json.loads(row.value)["id"] for row in rows if row.topic == "seen")
    assert set(names.values()) == {1}
    assert {"p0", "p0~1", "p0~2"} <= names.keys()
    told = {json.loads(row.value)["event"] for row in rows if row.topic == "told"}
    assert told - names.keys() == set(), "labels name the same events"
    again = next(row for row in rows if b'"p0~1"' in row.value)
    assert datetime.fromisoformat(json.loads(again.value)["at"]).timestamp() * 1_000 == again.timestamp_ms


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "told.jsonl").unlink(), "there is no told.jsonl"),
        (lambda folder: write(folder, 50), "50 events are too few to measure"),
        (lambda folder: (folder / "seen.jsonl").write_text('{"id": "p"}'), "no field 'key'"),
        (lambda folder: (folder / "seen.jsonl").write_text("{"), "no JSON object"),
        (
            lambda folder: (folder / "seen.jsonl").write_text('{"id": "p", "key": "k", "at": "now"}'),
            "at is 'now', no time",
        ),
    ],
)
def test_files_that_will_not_do_are_declined(tmp_path, spoil, said):
    write(tmp_path)
    spoil(tmp_path)
    with pytest.raises(Declined, match=said):
        Recorded(pipeline_of(), tmp_path)
