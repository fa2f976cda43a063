"""The topics of a pipeline, made as it declares them."""

from __future__ import annotations

from connectors import kafka_admin
from infra.settings import Settings
from streams.check import Finding
from streams.errors import Declined
from streams.pipeline import Pipeline


def apply_topics(pipeline: Pipeline, settings: Settings) -> list[str]:
    """Create the topics that are missing; the names of those. Declined when one has another number of partitions."""
    kept_ms = -1 if pipeline.retention is None else round(pipeline.retention.total_seconds() * 1000)
    config, topics = settings.kafka_python(), pipeline.topics
    journal = pipeline.topic("journal")  # its newest checkpoint record is needed however old it is
    made = kafka_admin.create_topics(config, {journal: topics.pop(journal)}, retention_ms=-1)
    return sorted([*made, *kafka_admin.create_topics(config, topics, kept_ms)])


def lag(pipeline: Pipeline, settings: Settings, group: str) -> int:
    """Records of all inputs that the group has not committed yet."""
    topics = [stream.topic for stream in pipeline.inputs]
    return sum(kafka_admin.lag(settings.kafka_python(), group, topics).values())


def unequal_topics(pipeline: Pipeline, settings: Settings) -> list[Finding]:
    """Topics that exist with another number of partitions than declared; none when no cluster is at hand."""
    try:
        config = settings.kafka_python()
    except Declined:
        return []
    found = kafka_admin.describe(config, pipeline.topics)
    return [
        Finding(
            f"topic {topic} has {found[topic]} partitions, the pipeline declares {declared}",
            f"topic {topic}",
            f"declare partitions={found[topic]} if all inputs have so many, or make the topic anew",
        )
        for topic, declared in pipeline.topics.items()
        if topic in found and found[topic] != declared
    ]
