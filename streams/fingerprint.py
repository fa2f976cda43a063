"""A digest of all that decides what a task computes: the pipeline's code, ours, the libraries', the table files."""

from __future__ import annotations

import hashlib
import inspect
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import models
import streams
from streams.pipeline import Pipeline

LIBRARIES = ("river", "numpy", "scipy", "msgspec")


def fingerprint(pipeline: Pipeline) -> str:
    """Sixteen hex digits; the same digits promise the same replay.

    Covered are the modules that the feature, target and cleaning functions and the event types come from, what was
    imported from beside them, riverrun's own core, the versions of Python and of the libraries that compute, and the
    files behind lookup tables.
    """
    digest = hashlib.sha256(_platform().encode())
    for module in sorted(_user_modules(pipeline), key=lambda m: m.__name__):
        digest.update(Path(str(module.__file__)).read_bytes())
    for table in pipeline.tables:
        digest.update(table.digest().encode())
    return digest.hexdigest()[:16]


def _user_modules(pipeline: Pipeline) -> set[ModuleType]:
    """The modules that hold what the pipeline declares, and all that were imported from the same folders."""
    things: list[object] = [pipeline.features, pipeline.target, *(stream.type for stream in pipeline.inputs)]
    things += [table.type for table in pipeline.tables]
    things += [vars(rule).get("holds") for stream in pipeline.inputs for rule in stream.clean]
    named = {inspect.getmodule(thing) for thing in things if thing is not None}
    folders = {_folder(module) for module in named if module is not None} - {None}
    return {module for module in list(sys.modules.values()) if _folder(module) in folders}


def _folder(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).parent if file else None


@cache
def _platform() -> str:
    ours = hashlib.sha256()
    for package in (models, streams):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            ours.update(path.read_bytes())
    libraries = [f"{name}=={version(name)}" for name in LIBRARIES]
    return " ".join([sys.version, *libraries, ours.hexdigest()])
