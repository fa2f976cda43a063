"""What moves, worked out of looks at Kafka: rates, lag, who has which task, and recoveries."""

from __future__ import annotations

from connectors.kafka_look import GroupMember, Looked, Looker
from infra.monitor import flow
from infra.monitor.answers import Recovery
from infra.monitor.recoveries import Told
from streams.records import RecoveryRecord
from tests.streams.pipelines import trips

NAME = trips.pipeline.name
INPUT = trips.pipeline.inputs[0].topic


def looked(*looks: tuple[float, int, int]) -> flow._Watched:
    """Looks at a time, with an end and an offset that is done in partition 0 of the first input."""
    watched = flow._Watched(trips.pipeline, Looker({}, "group", {}))
    for at_s, end, done in looks:
        members = (GroupMember("1", "host", frozenset({(INPUT, 0)})),)
        watched.looks.append(flow._Look(at_s, Looked({(INPUT, 0): end}, {(INPUT, 0): done}, "Stable", members)))
    return watched


def test_a_first_look_knows_no_rates() -> None:
    made = flow._flow(looked((1.0, 100, 40)), now_ms=0)
    (topic,) = [each for each in made.topics if each.topic == INPUT]
    assert (topic.end, topic.done, topic.lag) == (100, 40, 60)
    assert (topic.per_s, topic.done_per_s, made.tasks[0].done_per_s) == (None, None, None)


def test_rates_are_averages_from_the_first_look_to_the_last() -> None:
    made = flow._flow(looked((1.0, 100, 40), (2.0, 110, 90), (5.0, 180, 140)), now_ms=0)
    (topic,) = [each for each in made.topics if each.topic == INPUT]
    assert (topic.per_s, topic.done_per_s, topic.lag) == (20.0, 25.0, 40)
    assert (made.tasks[0].worker, made.tasks[0].lag_records, made.tasks[0].done_per_s) == ("1", 40, 25.0)


def test_a_topic_that_was_made_anew_has_no_negative_rate() -> None:
    made = flow._flow(looked((1.0, 100, 40), (2.0, 3, 3)), now_ms=0)
    (topic,) = [each for each in made.topics if each.topic == INPUT]
    assert (topic.per_s, topic.done_per_s, topic.lag) == (0.0, 0.0, 0)


def test_a_recovery_is_with_its_task_while_it_is_told_of() -> None:
    watched = looked((1.0, 100, 40))
    watched.told = {0: Told(1_000, RecoveryRecord(0, "1", 5, 9))}
    assert flow._flow(watched, now_ms=2_000).tasks[0].recovery == Recovery("1", 5, 9)
    assert flow._flow(watched, now_ms=60_000).tasks[0].recovery is None
