"""A pipeline: one declared flow, in a Python file, from inputs to learners."""

from __future__ import annotations

import importlib.util
import sys
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from models.drift import Watch
from models.learner import Features, Kind, Label, Learner
from streams.alerts import Alert
from streams.context import Context
from streams.errors import Declined
from streams.inputs import AnyInput, Events, Labels, Reference
from streams.joins import Table
from streams.records import PUBLISHED

_KINDS: dict[type, Kind] = {bool: "binary", str: "multiclass", int: "multiclass", float: "regression"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Pipeline:
    """What flows where, and who learns from it. ``riverrun check FILE`` finds mistakes before anything runs.

    Parameters
    ----------
    name
        Prefix of the output topics and name of the local data folder: lower-case letters, digits, "-" and "_".
    events, labels, references, tables
        The inputs, and the table files that features look things up in.
    features
        An importable function of the event and its context, called once an event: feature name -> number, bool or text;
        None is a missing value.
    target
        An importable function of a label record: bool (binary), str or int (multiclass), float (regression), told by
        its return annotation.
    champion, challengers, baselines
        The learner whose prediction counts; learners in its shadow; yardsticks, in its shadow too.
    drift
        Detectors on errors, features and predictions.
    alerts
        What the monitor watches in the merged reports of all tasks, and whether learning is paused while it lasts.
    missing
        Features that are None are left out of what the models see ("omit": right for linear models and trees), or
        passed on ("keep": for pipelines that begin with River's ``StatImputer``).
    partitions
        Partitions of every topic, and so the number of tasks. Chosen once: state belongs to a partition.
    report_every
        Length of a reporting period in record time; scores slide over the last ``sliding_periods`` of them.
    idle_after
        An input that is read to its end and brought nothing for this long no longer holds back the others.
    batch_max
        Records a task takes into one transaction at the most.
    checkpoint_every, replay_max
        What a restart replays at the most, plus a batch: so many records, or records that took so long to predict and
        learn, whichever comes first. A checkpoint is begun at 0.7 of it; at the whole, the task waits for its end.
        ``replay_max`` None: a second, or four times what saving the state takes where that is more.
    inline_bytes_max
        A sealed state of up to so many bytes rides in every journal record, and a restart replays nothing. 0: never.
    version_every, versions_max
        How often, in record time, all models are kept as they are, to go back to; so many versions of each at the most.
    state_bytes_max
        Budget for a task's pickled state: beyond it the worker warns, for moving and saving a task gets slow.
    retention
        How long the topics keep records; None: for ever. Replays need the inputs since the last checkpoint.
    """

    name: str
    events: Events[Any]
    labels: Labels[Any]
    features: Callable[[Any, Context], Features]
    target: Callable[[Any], Label]
    champion: Learner
    references: Sequence[Reference[Any]] = ()
    tables: Sequence[Table[Any]] = ()
    challengers: Sequence[Learner] = ()
    baselines: Sequence[Learner] = ()
    drift: Sequence[Watch] = ()
    alerts: Sequence[Alert] = ()
    missing: typing.Literal["omit", "keep"] = "omit"
    partitions: int = 1
    report_every: timedelta = timedelta(hours=1)
    sliding_periods: int = 24
    idle_after: timedelta = timedelta(milliseconds=200)
    batch_max: int = 4_000
    checkpoint_every: int = 100_000
    replay_max: timedelta | None = None
    inline_bytes_max: int = 16_384
    version_every: timedelta = timedelta(days=1)
    versions_max: int = 30
    state_bytes_max: int = 512 * 2**20
    retention: timedelta | None = None

    @property
    def inputs(self) -> tuple[AnyInput, ...]:
        """All inputs in canonical order: at the same time, references come first, then labels, then events."""
        return (*self.references, self.labels, self.events)

    @property
    def learners(self) -> tuple[Learner, ...]:
        """All learners: the champion first."""
        return (self.champion, *self.challengers, *self.baselines)

    @property
    def kind(self) -> Kind:
        """The kind of target, told by ``target``'s return annotation."""
        try:
            annotation = typing.get_type_hints(self.target).get("return")
        except (NameError, TypeError):  # a name that is imported for type checking only, or no function at all
            annotation = getattr(self.target, "__annotations__", {}).get("return")
        if annotation not in _KINDS:
            raise Declined(
                f"target must be annotated to return bool, str, int or float, not {annotation}",
                where=f"pipeline {self.name}",
                remedy=f"write `def {getattr(self.target, '__name__', 'target')}(label: …) -> bool:`",
            )
        return _KINDS[annotation]

    @property
    def group(self) -> str:
        """The consumer group of the pipeline's workers."""
        return f"riverrun-{self.name}"

    def topic(self, output: str) -> str:
        """The topic of an output, of the "journal", or of what is told of a "recovery"."""
        return f"{self.name}.{output}"

    @property
    def topics(self) -> dict[str, int]:
        """Every topic of the pipeline with its number of partitions."""
        outputs = [self.topic(output) for output in (*PUBLISHED, "journal", "recovery")]
        return dict.fromkeys([*self.topics_read, *outputs], self.partitions)

    @property
    def topics_read(self) -> tuple[str, ...]:
        """The topics a task reads: its inputs in canonical order, then the decisions on its models."""
        return (*(stream.topic for stream in self.inputs), self.topic("control"))


def load_pipeline(path: str | Path) -> Pipeline:
    """The pipeline that a Python file declares: its one module-level ``Pipeline``.

    The file is imported under its own name with its folder on the import path, so that what it declares can be
    pickled. Raises Declined when the file is missing, does not import, or declares none or several.
    """
    where = str(path)
    module = import_file(path)
    found = {id(value): value for value in vars(module).values() if isinstance(value, Pipeline)}
    if len(found) != 1:
        raise Declined(
            f"the file declares {len(found)} pipelines", where=where, remedy="assign exactly one `Pipeline(…)` in it"
        )
    (pipeline,) = found.values()
    return pipeline


def import_file(path: str | Path) -> ModuleType:
    """The module in a Python file, imported once. Raises Declined when it is missing or does not import."""
    file, where = Path(path).resolve(), str(path)
    if not file.is_file() or file.suffix != ".py":
        raise Declined(
            "there is no such Python file", where=where, remedy="name the Python file that holds the declaration"
        )
    module = sys.modules.get(file.stem)
    if module is None or getattr(module, "__file__", None) != str(file):
        module = _import(file, where)
    return module


def _import(file: Path, where: str) -> ModuleType:
    taken = importlib.util.find_spec(file.stem) if file.stem.isidentifier() else None
    if not file.stem.isidentifier() or (taken is not None and taken.origin != str(file)):
        raise Declined(
            f"the module name {file.stem!r} is taken or not a Python name",
            where=where,
            remedy="rename the file: it is imported under its name, so that its functions can be pickled",
        )
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[file.stem]
        if isinstance(error, Declined):
            raise
        raise Declined(
            f"the file does not import: {type(error).__name__}: {error}", where=where, remedy=f"run `python {where}`"
        ) from error
    return module
