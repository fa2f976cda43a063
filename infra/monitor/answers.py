"""What the monitor's API says, one Struct an answer. Times as in streams/records.py: ms since the Unix epoch."""

from __future__ import annotations

import msgspec

from streams.adding import PipelineReport
from streams.control import Action
from streams.records import AlertRecord, DecisionRecord, DriftRecord, ScoreValues


class Problem(msgspec.Struct):
    """Why there is no answer: what is wrong, where, and the remedy."""

    what: str
    where: str
    remedy: str


class Health(msgspec.Struct):
    """``ready``: the control plane runs and has read what there is. ``active``: this monitor has the pictures."""

    ready: bool
    active: bool
    version: str


class Head(msgspec.Struct):
    """A pipeline in short. ``newest_time_ms`` is the end of the newest window that a task reported of, ``alerts`` the
    names of those that last.
    """

    name: str
    tasks: int
    models: list[str]
    paused_tasks: list[int]
    newest_time_ms: int | None
    alerts: list[str]
    changes: int


class Pipelines(msgspec.Struct):
    """All pipelines of this monitor."""

    pipelines: list[Head]


class Recovery(msgspec.Struct):
    """How far a task's recovery is: records that ``worker`` has replayed, of those that are to be."""

    worker: str
    replayed: int
    total: int


class TaskHead(msgspec.Struct):
    """How far a task is, as its journal has it now.

    ``lag_records`` are offsets of its inputs that it has not committed, ``to_replay_records`` what a restart would step
    over again. ``checkpoint_age_ms`` is how far its newest saved state lies back, in record time, null if it has none.
    ``recovery`` is null unless it is being brought back just now.
    """

    task: int
    journal_sequence: int | None
    lag_records: int
    to_replay_records: int
    checkpoint_age_ms: int | None
    learns: bool
    recovery: Recovery | None = None


class Overview(msgspec.Struct):
    """One pipeline, as of ``asked_time_ms``.

    ``cumulative`` is all that was reported, ``sliding`` the newest windows that scores slide over, ``newest`` the
    newest window; null before the first report. ``tasks`` is empty where Kafka cannot be asked: ``tasks_problem`` says
    why. ``alarms`` is how many came of drift detectors, ``alerts`` are the names of those that last.
    """

    name: str
    asked_time_ms: int
    paused_tasks: list[int]
    tasks: list[TaskHead]
    tasks_problem: str | None
    newest: PipelineReport | None
    sliding: PipelineReport | None
    cumulative: PipelineReport | None
    alarms: int
    alerts: list[str]


class Windows(msgspec.Struct):
    """Windows of a pipeline, oldest first: of event time, or of the time in which reports came."""

    pipeline: str
    windows: list[PipelineReport]


class Alarm(msgspec.Struct):
    """An alarm of a drift detector, and when it came."""

    received_time_ms: int
    alarm: DriftRecord


class Alarms(msgspec.Struct):
    """The newest alarms of a pipeline, newest first."""

    pipeline: str
    alarms: list[Alarm]


class Told(msgspec.Struct):
    """A declared alert that began or was over, and when that came."""

    received_time_ms: int
    alert: AlertRecord


class Declared(msgspec.Struct):
    """An alert as the pipeline declares it (streams/alerts.py), and whether it lasts."""

    name: str
    measure: str
    bound: str
    over: int
    windows: int
    pauses: bool
    lasts: bool


class Alerts(msgspec.Struct):
    """The alerts that a pipeline declares, and the newest of what was told of them, newest first."""

    pipeline: str
    declared: list[Declared]
    alerts: list[Told]


class Decided(msgspec.Struct):
    """A decision, and what became of it: ``waiting`` are the tasks that have not answered."""

    id: str
    action: str
    model: str | None
    version: str | None
    by: str
    why: str
    decided_time_ms: int
    answers: list[DecisionRecord]
    waiting: list[int]


class Decisions(msgspec.Struct):
    """The newest decisions on a pipeline's models, newest first.

    ``obeyed`` is how many each task has obeyed so far, null where tasks differ.
    """

    pipeline: str
    decisions: list[Decided]
    obeyed: int | None


class Kept(msgspec.Struct):
    """A version that can be gone back to: the tasks that have it, and its scores in the one that told last."""

    model: str
    label: str
    version: str
    time_ms: int
    tasks: list[int]
    scores: ScoreValues


class Versions(msgspec.Struct):
    """The versions of each model, by model, newest first."""

    pipeline: str
    versions: list[Kept]


class Reject(msgspec.Struct):
    """A record that could not be used. ``key`` and ``value`` are its bytes as text, the rest escaped; ``cut`` says
    whether that is not all.
    """

    where: str
    source: str
    timestamp_ms: int
    reason: str
    field: str
    detail: str
    size: int
    key: str | None
    value: str | None
    cut: bool


class Rejects(msgspec.Struct):
    """The newest rejects of a pipeline, newest first."""

    pipeline: str
    rejects: list[Reject]


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """A decision to be taken: see `riverrun models`. ``wait_s`` is how long to wait for the tasks' answers.

    ``after``: in the light of so many decisions. A task that has obeyed more by then refuses it as stale.
    """

    action: Action
    why: str
    by: str
    model: str | None = None
    version: str | None = None
    after: int | None = None
    wait_s: float = 10.0


class Session(msgspec.Struct):
    """The cookie that was set stands for the token, until the monitor ends."""

    accepted: bool
