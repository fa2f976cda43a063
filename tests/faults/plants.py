"""One protection taken out of a worker each, so that its test is seen to fail. A test that cannot fail proves nothing.

``RIVERRUN_TEST_PLANT`` names the plant of a worker; it patches production's code for as long as the process lives.
The docstrings say what is missing then. Which test notices: test_plants.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from connectors.attempts import FolderAttempts
from connectors.blobs import FolderBlobStore
from connectors.kafka_errors import translate
from connectors.kafka_log import _CONSUMER_FIXED, _PRODUCER, KafkaLog
from connectors.kafka_reader import retrying
from streams import checkpoint
from streams.batch import Batch, merge
from streams.checkpointer import Checkpointer
from streams.journal import JOURNAL, JournalRecord
from streams.observe import Watch
from streams.ports import BlobStore, Log, Output
from streams.records import OUTPUTS
from streams.recovery import Recovered, _replay
from streams.task import Step, Task
from streams.task_run import TaskRun
from streams.transactions import Work
from streams.worker import Worker

Plant = Callable[[pytest.MonkeyPatch], None]
PLANTS: dict[str, Plant] = {}
"""By name; the docstring says what is missing."""

_commit, _produce = KafkaLog.commit, KafkaLog.produce  # those that kill nobody


def _plant(plant: Plant) -> Plant:
    PLANTS[plant.__name__.replace("_", "-")] = plant
    return plant


class Never(Exception):
    """In place of an error that is then not caught: nobody raises it."""


def _nothing(*_args: object, **_kwargs: object) -> None:
    """In place of what is not done any more."""


# Transactions


@_plant
def outputs_after_the_commit(patch: pytest.MonkeyPatch) -> None:
    """The outputs are not in the transaction of their journal record and offsets, but in one after it."""
    commit, waiting = KafkaLog.commit, list[tuple[Any, ...]]()

    def put_off(self: KafkaLog, topics: Mapping[str, str], partition: int, outputs: Iterable[Output]) -> None:
        journal, others = _apart(outputs)
        _produce(self, topics, partition, journal)
        waiting.append((topics, partition, others))

    def commit_twice(self: KafkaLog) -> None:
        commit(self)
        if waiting:
            self.begin()
            while waiting:
                _produce(self, *waiting.pop(0))
            _commit(self)

    patch.setattr(KafkaLog, "produce", put_off)
    patch.setattr(KafkaLog, "commit", commit_twice)


@_plant
def outputs_beside_the_transaction(patch: pytest.MonkeyPatch) -> None:
    """The outputs are in no transaction."""
    producers: dict[KafkaLog, Producer] = {}

    def at_once(self: KafkaLog, topics: Mapping[str, str], partition: int, outputs: Iterable[Output]) -> None:
        journal, others = _apart(outputs)
        _produce(self, topics, partition, journal)
        producer = producers.setdefault(self, Producer(_addresses(self)))
        for name, key, value, timestamp_ms in others:
            producer.produce(topics[name], value, key, partition, timestamp=timestamp_ms)
        producer.flush()

    patch.setattr(KafkaLog, "produce", at_once)


@_plant
def offsets_beside_the_transaction(patch: pytest.MonkeyPatch) -> None:
    """The group's offsets are committed at once, as a consumer does by itself."""

    def at_once(self: KafkaLog, next_offsets: Mapping[tuple[str, int], int]) -> None:
        offsets = [TopicPartition(*at, offset) for at, offset in next_offsets.items()]
        self._consumer.commit(offsets=offsets, asynchronous=False)

    patch.setattr(KafkaLog, "send_offsets", at_once)


@_plant
def state_not_replayed(patch: pytest.MonkeyPatch) -> None:
    """What was committed since the checkpoint is not learned again: the state is older than the offsets."""
    patch.setattr("streams.recovery._replay", _nothing)


@_plant
def replay_puts_out_again(patch: pytest.MonkeyPatch) -> None:
    """What a replay puts out is not discarded."""
    step = Task.step

    def put_out(task: Task, record: JournalRecord, log: Log, where: str) -> None:
        log.begin()

        def stepped(self: Task, batch: Batch) -> Step:
            made = step(self, batch)
            log.produce({name: task.pipeline.topic(name) for name in OUTPUTS}, task.partition, made.outputs)
            return made

        with patch.context() as meanwhile:
            meanwhile.setattr(Task, "step", stepped)
            _replay(task, record, log, where)
        log.commit()

    patch.setattr("streams.recovery._replay", put_out)


@_plant
def group_not_asked(patch: pytest.MonkeyPatch) -> None:
    """The offsets go without the group's generation: a worker that lost its tasks is not noticed."""
    begin = KafkaLog.begin

    def without(self: KafkaLog) -> None:
        stranger = Consumer({**_addresses(self), "group.id": self._consumer_config["group.id"]})
        consumer, self._consumer = (
            self._consumer,
            SimpleNamespace(consumer_group_metadata=stranger.consumer_group_metadata),
        )
        try:
            begin(self)
        finally:
            self._consumer = consumer
            stranger.close()

    patch.setattr(KafkaLog, "begin", without)


@_plant
def transactions_without_a_timeout(patch: pytest.MonkeyPatch) -> None:
    """A transaction of a worker that is gone stays open for a quarter of an hour."""
    patch.setitem(_PRODUCER, "transaction.timeout.ms", 900_000)


@_plant
def learning_in_the_transaction(patch: pytest.MonkeyPatch) -> None:
    """The transaction is begun, and its offsets sent, before the batch is learned."""
    step, begin = Worker._step, KafkaLog.begin

    def begin_first(self: Worker, run: TaskRun, batch: Batch) -> Work:
        ends = {(topic, run.task.partition): end for topic, (_, end) in zip(run.topics, batch.ranges, strict=True)}
        self._transactions.settle()
        self._log.begin()
        self._log.send_offsets(ends)
        return step(self, run, batch)

    def begin_once(self: KafkaLog) -> None:
        if not self._open:
            begin(self)

    patch.setattr(Worker, "_step", begin_first)
    patch.setattr(KafkaLog, "begin", begin_once)


@_plant
def broker_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """A call that does not reach the broker is not repeated, and ends the worker; so does the news that it is away."""

    def at_once(self: KafkaLog, error: KafkaError) -> None:
        self._failure = self._failure or translate(error, "Kafka")

    patch.setattr(KafkaLog, "_on_error", at_once)
    patch.setattr("connectors.kafka_reader.retrying", lambda _: retrying(0))
    patch.setattr("infra.roles.worker.BrokerUnreachable", Never)
    patch.setattr("infra.roles.worker.OutcomeUnknown", Never)


# Who does the work


@_plant
def revoked_tasks_kept(patch: pytest.MonkeyPatch) -> None:
    """A worker goes on with tasks that the group took away, and as it left them when it gets them back."""
    start = Worker._start

    def kept(self: Worker, recovered: Recovered, topic_ids: dict[str, str]) -> TaskRun:
        return self.runs.get(recovered.task.partition) or start(self, recovered, topic_ids)

    def only_settled(self: Worker, partitions: list[int], *, lost: bool) -> None:
        self._transactions.settle()

    patch.setattr(Worker, "revoked", only_settled)
    patch.setattr(Worker, "_start", kept)


@_plant
def started_twice(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether this worker runs already."""
    patch.setattr("infra.roles.worker.only_one", lambda *_: nullcontext())


@_plant
def a_name_of_its_own(patch: pytest.MonkeyPatch) -> None:
    """Each process has its own transactional id and place in the group, whatever its ``--id``."""

    class OwnLog(KafkaLog):
        def __init__(self, config: dict[str, Any], group: str, transactional_id: str, instance_id: str | None) -> None:
            super().__init__(config, group, f"{transactional_id}-{os.getpid()}", f"{instance_id}-{os.getpid()}")

    patch.setattr("infra.roles.worker.KafkaLog", OwnLog)


# Inputs


@_plant
def uncommitted_records_read(patch: pytest.MonkeyPatch) -> None:
    """isolation.level=read_uncommitted."""
    patch.setitem(_CONSUMER_FIXED, "isolation.level", "read_uncommitted")


@_plant
def blocked_inputs_not_watched(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether an open transaction holds an input back."""
    patch.setattr(Watch, "_blocked", _nothing)


@_plant
def no_limit_of_size(patch: pytest.MonkeyPatch) -> None:
    """Records of any size are looked into, and repeated in rejects."""
    patch.setattr("streams.intake.RECORD_BYTES_MAX", 10**9)
    patch.setattr("streams.outputs.RECORD_BYTES_MAX", 10**9)


@_plant
def no_limit_of_outputs(patch: pytest.MonkeyPatch) -> None:
    """Features and predictions of any size are put out."""
    patch.setattr("streams.task.PREDICTION_BYTES_MAX", 10**9)


@_plant
def partitions_not_counted(patch: pytest.MonkeyPatch) -> None:
    """Tasks beyond the declared ones are taken on."""
    assigned = Worker.assigned

    def of_any_count(self: Worker, partitions: list[int]) -> None:
        object.__setattr__(self.pipeline, "partitions", max(partitions) + 1)
        assigned(self, partitions)

    patch.setattr(Worker, "assigned", of_any_count)


@_plant
def topic_ids_not_compared(patch: pytest.MonkeyPatch) -> None:
    """A topic is known by its name alone."""
    patch.setattr("streams.recovery._refuse_other_topics", _nothing)


@_plant
def lost_records_not_noticed(patch: pytest.MonkeyPatch) -> None:
    """A position that is gone is reset, and what is replayed is not compared with what was committed."""
    patch.setitem(_CONSUMER_FIXED, "auto.offset.reset", "earliest")

    def unchecked(task: Task, record: JournalRecord, log: Log, _where: str) -> None:
        inputs = [(topic, *record.ranges[topic]) for topic in (stream.topic for stream in task.pipeline.inputs)]
        records = [log.read(topic, task.partition, *ends) for topic, *ends in inputs]
        task.step(merge([(first, end) for _, first, end in inputs], records))

    patch.setattr("streams.recovery._replay", unchecked)


@_plant
def changed_code_not_refused(patch: pytest.MonkeyPatch) -> None:
    """Batches are replayed by any code."""
    patch.setattr("streams.recovery._refuse_changed_code", _nothing)


@_plant
def attempts_forgotten(patch: pytest.MonkeyPatch) -> None:
    """What was begun before the process died is not remembered."""
    patch.setattr(FolderAttempts, "load", _nothing)


# Checkpoints


@_plant
def pointer_before_the_blob(patch: pytest.MonkeyPatch) -> None:
    """The journal names a checkpoint before it is in the store."""
    put, waiting = FolderBlobStore.put, list[tuple[str, bytes]]()

    def late(self: FolderBlobStore, name: str, blob: bytes) -> None:
        waiting.append((name, blob))
        if len(waiting) > 1:
            put(self, *waiting.pop(0))

    patch.setattr(FolderBlobStore, "put", late)


@_plant
def orphans_left(patch: pytest.MonkeyPatch) -> None:
    """Blobs that nothing names are not deleted."""
    patch.setattr(Checkpointer, "_collect", _nothing)


@_plant
def span_without_limit(patch: pytest.MonkeyPatch) -> None:
    """A task does not wait for its checkpoint, however much there would be to replay."""
    patch.setattr(Checkpointer, "full", False)


@_plant
def blobs_not_verified(patch: pytest.MonkeyPatch) -> None:
    """A checkpoint is unpickled whatever its name and signature say."""

    def trusting(store: BlobStore, name: str, _key: bytes) -> Any:
        _, _, payload = store.get(name).partition(checkpoint.MAGIC)
        size, packed = payload[32:40], payload[40:]
        return checkpoint.thaw(pa.decompress(packed, int.from_bytes(size, "big"), codec="zstd"))

    patch.setattr(checkpoint, "load", trusting)


@_plant
def no_checkpoint_before(patch: pytest.MonkeyPatch) -> None:
    """A checkpoint that does not load ends the worker."""
    patch.setattr("streams.recovery.CheckpointCorrupt", Never)


def _apart(outputs: Iterable[Output]) -> tuple[list[Output], list[Output]]:
    """Those of the journal, and the others."""
    outputs = list(outputs)
    return [each for each in outputs if each.name == JOURNAL], [each for each in outputs if each.name != JOURNAL]


def _addresses(log: KafkaLog) -> dict[str, Any]:
    return {"bootstrap.servers": log._consumer_config["bootstrap.servers"]}
