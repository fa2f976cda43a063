"""A digest of all that decides what a task computes: the pipeline's code, ours, the libraries', the table files."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from functools import cache
from importlib.metadata import distributions
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType

import models
import streams
from streams.pipeline import Pipeline


def fingerprint(pipeline: Pipeline) -> str:
    """Sixteen hex digits; the same digits promise the same replay.

    Covered are the modules that the feature, target and cleaning functions and the event types come from, what they
    import from beside or below them, what is declared, riverrun's own core, the versions of Python and of everything
    that is installed (what a lock file says), and the files behind lookup tables.
    """
    digest = hashlib.sha256(_platform().encode())
    digest.update(_declared(pipeline).encode())
    for module in sorted(_user_modules(pipeline), key=lambda m: m.__name__):
        digest.update(Path(str(module.__file__)).read_bytes())
    for table in pipeline.tables:
        digest.update(table.digest().encode())
    return digest.hexdigest()[:16]


def _declared(pipeline: Pipeline) -> str:
    """What the declaration says that code does not: it may come from a setting or from another folder."""
    learners = [(learner.name, learner.version()) for learner in pipeline.learners]
    watches = [watch.version() for watch in pipeline.drift]
    inputs = [(stream.topic, stream.key, stream.time) for stream in pipeline.inputs]
    windows = [aggregate.name for stream in pipeline.inputs for aggregate in stream.aggregates]
    of_labels = ("expire_after", "early", "orphan", "duplicate", "corrected", "pending_max")
    policies = [getattr(pipeline.labels, name) for name in of_labels]
    places = (len(pipeline.challengers), len(pipeline.baselines))
    report = (pipeline.missing, pipeline.report_every, pipeline.sliding_periods)
    kept = (pipeline.version_every, pipeline.versions_max)
    return repr((pipeline.name, inputs, windows, policies, learners, places, watches, report, kept))


def _user_modules(pipeline: Pipeline) -> set[ModuleType]:
    """The modules that hold what the pipeline declares, and all that they import from their folders and below."""
    things: list[object] = [pipeline.features, pipeline.target, *(stream.type for stream in pipeline.inputs)]
    things += [table.type for table in pipeline.tables]
    things += [vars(rule).get("holds") for stream in pipeline.inputs for rule in stream.clean]
    found = {inspect.getmodule(thing) for thing in things if thing is not None}
    modules = {module for module in found if module is not None and _file(module)}
    folders = {file.parent for module in modules if (file := _file(module))}
    left = list(modules)
    while left:
        for name in _imported_by(left.pop()):
            module = sys.modules.get(name)
            file = _file(module) if module else None
            if module in modules or file is None or "site-packages" in file.parts or folders.isdisjoint(file.parents):
                continue
            assert module is not None
            modules.add(module)
            left.append(module)
    return modules


def _file(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file) if file else None


def _imported_by(module: ModuleType) -> set[str]:
    """The full names of what a module's source imports, wherever in it; some may be names in modules, not modules."""
    names: set[str] = set()
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError):  # a compiled module: it counts itself, what it imports is not seen
        return names
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            base = resolve_name(base, module.__package__) if node.level and module.__package__ else base
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}


@cache
def _platform() -> str:
    ours = hashlib.sha256()
    for package in (models, streams):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            ours.update(path.read_bytes())
    installed = sorted({f"{each.name}=={each.version}" for each in distributions()})
    return " ".join([sys.version, *installed, ours.hexdigest()])
