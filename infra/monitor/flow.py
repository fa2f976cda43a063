"""What moves in the pipelines: offsets of topics and tasks now, and how fast they grow. Asked of Kafka, not kept."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from connectors.kafka_look import Looked, Looker
from infra.monitor import asking, recoveries
from infra.monitor.answers import TaskHead
from infra.monitor.drawn import Flow, Member, TaskFlow, TopicFlow
from infra.settings import Settings
from streams.pipeline import Pipeline
from streams.records import OUTPUTS, Count

FRESH_S = 0.9
"""A look at Kafka serves everybody who asks within so long."""

OVER_S = 8.0
"""Rates are averages over so long."""

HEADS_S = 5.0
"""Journals are read so often at the most, while they grow."""


@dataclass(frozen=True, slots=True)
class _Look:
    at_s: float
    seen: Looked


@dataclass(slots=True)
class _Watched:
    """What is remembered of one pipeline, for as long as somebody looks."""

    pipeline: Pipeline
    looker: Looker
    looks: deque[_Look] = field(default_factory=deque)
    one: asyncio.Lock = field(default_factory=asyncio.Lock)
    heads: list[TaskHead] = field(default_factory=list)
    heads_at_s: float = -HEADS_S
    heads_ends: tuple[int, ...] = ()
    told: dict[int, recoveries.Told] = field(default_factory=dict)
    told_ends: tuple[int, ...] = ()
    recovering: bool = False

    def ends(self, output: str) -> tuple[int, ...]:
        """The ends of this topic, partition by partition, as they were seen last."""
        topic, seen = self.pipeline.topic(output), self.looks[-1].seen.ends
        return tuple(seen.get((topic, partition), 0) for partition in range(self.pipeline.partitions))


class Sampler:
    """Looks at each pipeline's topics when somebody wants to know."""

    def __init__(self, pipelines: Iterable[Pipeline], settings: Settings) -> None:
        self._settings = settings
        self._watched = {pipeline.name: _Watched(pipeline, self._looker(pipeline)) for pipeline in pipelines}

    def _looker(self, pipeline: Pipeline) -> Looker:
        outputs = [pipeline.topic(name) for name in (*OUTPUTS, "journal", "recovery")]
        topics = dict.fromkeys([*(stream.topic for stream in pipeline.inputs), *outputs], pipeline.partitions)
        return Looker(self._settings.kafka_python(), pipeline.group, topics)

    async def flow(self, name: str) -> Flow:
        """What moves there. Raises PipelineError when Kafka cannot be asked."""
        watched = self._watched[name]
        await self._look(watched)
        async with watched.one:
            await self._read_journals(watched)
            await self._read_recoveries(watched)
        made = _flow(watched, time.time_ns() // 1_000_000)
        watched.recovering = any(task.recovery for task in made.tasks)
        return made

    async def moved(self, name: str) -> bool:
        """Whether anything is other than at the look before; rates that fall are, and a recovery that may be over.

        Raises PipelineError.
        """
        watched = self._watched[name]
        await self._look(watched)
        return (
            watched.recovering
            or len({(*look.seen.ends.values(), *look.seen.committed.values()) for look in watched.looks}) > 1
            or (len(watched.looks) > 1 and watched.looks[-1].seen != watched.looks[-2].seen)
        )

    async def _look(self, watched: _Watched) -> None:
        async with watched.one:
            now_s = time.monotonic()
            if watched.looks and now_s - watched.looks[-1].at_s < FRESH_S:
                return
            seen = await asyncio.to_thread(watched.looker.look)
            watched.looks.append(_Look(time.monotonic(), seen))
            while now_s - watched.looks[0].at_s > OVER_S:
                watched.looks.popleft()

    async def _read_journals(self, watched: _Watched) -> None:
        """Read the ends of journals anew if they have grown, or a checkpoint may have become old."""
        ends, now_s = watched.ends("journal"), time.monotonic()
        if ends != watched.heads_ends and now_s - watched.heads_at_s >= HEADS_S:
            watched.heads = await asyncio.to_thread(asking.task_heads, watched.pipeline, self._settings)
            watched.heads_at_s, watched.heads_ends = now_s, ends

    async def _read_recoveries(self, watched: _Watched) -> None:
        ends = watched.ends("recovery")
        if ends != watched.told_ends:
            watched.told = await asyncio.to_thread(recoveries.newest, watched.pipeline, self._settings)
            watched.told_ends = ends

    def close(self) -> None:
        """Leave Kafka."""
        for watched in self._watched.values():
            watched.looker.close()


def _flow(watched: _Watched, now_ms: int) -> Flow:
    pipeline, first, last = watched.pipeline, watched.looks[0], watched.looks[-1]
    over_s = last.at_s - first.at_s

    def per_s(before: int, after: int) -> float | None:
        return round(max(after - before, 0) / over_s, 2) if over_s else None

    def ends(look: _Look, topic: str) -> int:
        return sum(end for (name, _), end in look.seen.ends.items() if name == topic)

    def done(look: _Look, topic: str, partition: int | None = None) -> int:
        found = look.seen.committed.items()
        return sum(at for (name, number), at in found if name == topic and partition in (None, number))

    roles = {stream.topic: "reference" for stream in pipeline.references}
    roles |= {pipeline.labels.topic: "label", pipeline.events.topic: "event"}
    inputs = [stream.topic for stream in pipeline.inputs]
    topics = []
    for topic, role in [*roles.items(), *((pipeline.topic(name), name) for name in OUTPUTS)]:
        end, read = ends(last, topic), done(last, topic) if topic in inputs else None
        speed = None if read is None else per_s(done(first, topic), read)
        behind = None if read is None else max(end - read, 0)
        topics.append(TopicFlow(topic, role, end, per_s(ends(first, topic), end), read, speed, behind))
    members = [_member(each.name, each.host, each.partitions, inputs) for each in last.seen.members]
    owners = {task: member.worker for member in members for task in member.tasks}
    heads = {head.task: head for head in watched.heads}
    recovering = recoveries.under_way(watched.told, now_ms)
    tasks = []
    for task in range(pipeline.partitions):
        head = heads.get(task, TaskHead(task, None, 0, 0, None, learns=True))
        positions = [Count(topic, last.seen.committed.get((topic, task), 0)) for topic in inputs]
        behind = sum(max(last.seen.ends.get((each.name, task), 0) - each.count, 0) for each in positions)
        speed = per_s(sum(done(first, topic, task) for topic in inputs), sum(each.count for each in positions))
        tasks.append(
            TaskFlow(
                task,
                owners.get(task),
                positions,
                behind,
                speed,
                head.journal_sequence,
                head.to_replay_records,
                head.checkpoint_age_ms,
                head.learns,
                recovering.get(task),
            )
        )
    return Flow(pipeline.name, now_ms, round(over_s, 1), last.seen.state, topics, members, tasks)


def _member(worker: str, host: str, partitions: Iterable[tuple[str, int]], inputs: list[str]) -> Member:
    return Member(worker, host, sorted({number for topic, number in partitions if topic in inputs}))
