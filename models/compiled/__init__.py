"""River's hot paths, compiled, where riverrun was built with a C compiler: the same predictions and states, sooner.

    River's function                     compiled (trees.pyx)
    Branch.walk, .traverse             ◀ walk, traverse              from the root to a leaf
    do_naive_bayes_prediction          ◀ naive_bayes                 what a leaf predicts
    HTLeaf.update_splitters            ◀ update_splitters            what a leaf learns
    GaussianSplitter.best_evaluated_…  ◀ best_split                  where it would split

An equivalent does what River's function does, in the same order of rounding, so states and outputs are the same to the
last bit (tests/models/test_compiled.py): a worker with and one without can take over each other's tasks. It was written
against one version of River; with any other, or without a compiler, River's own functions run.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Any, NamedTuple

RIVER = "0.26.1"
"""The version of River that the equivalents were written against."""

_log = logging.getLogger("riverrun.models")


class Replacement(NamedTuple):
    """Where a function of River's is found, and what does the same."""

    holder: Any
    name: str
    original: Any
    compiled: Any


def built() -> ModuleType | None:
    """The compiled module; None if there is none, or none for this version of River."""
    if version("river") != RIVER:
        return None
    try:
        return import_module("models.compiled.trees")
    except ImportError:
        return None


def replacements(compiled: ModuleType) -> list[Replacement]:
    """All functions that have a compiled equivalent, wherever River's modules hold them."""
    leaf, base = import_module("river.tree.nodes.leaf").HTLeaf, import_module("river.tree.base").Branch
    adaptive = import_module("river.tree.nodes.htc_nodes").LeafNaiveBayesAdaptive
    splitter = import_module("river.tree.splitter.gaussian_splitter").GaussianSplitter
    methods = [
        (leaf, "update_splitters", compiled.update_splitters),
        (base, "walk", compiled.walk),
        (base, "traverse", compiled.traverse),
        (adaptive, "learn_one", compiled.adaptive_learn_one),
        (adaptive, "prediction", compiled.adaptive_prediction),
        (splitter, "best_evaluated_split_suggestion", compiled.best_split),
    ]
    found = [Replacement(holder, name, holder.__dict__[name], new) for holder, name, new in methods]
    functions = [
        (import_module("river.tree.utils"), "do_naive_bayes_prediction", compiled.naive_bayes),
        (import_module("river.utils.norm"), "normalize_values_in_dict", compiled.normalize),
    ]
    for home, name, new in functions:
        original = getattr(home, name)
        holders = [module for path, module in sys.modules.items() if path.startswith("river.")]
        found += [Replacement(each, name, original, new) for each in holders if vars(each).get(name) is original]
    return found


@contextmanager
def used() -> Iterator[bool]:
    """Put the equivalents in the place of River's functions, for all of this process, and River's back at the end.

    Gives whether there are any.
    """
    compiled = built()
    if compiled is None:
        _log.info("River's hot paths are not compiled for River %s: its own functions run", version("river"))
        yield False
        return
    found = replacements(compiled)
    for each in found:
        setattr(each.holder, each.name, each.compiled)
    try:
        yield True
    finally:
        for each in found:
            setattr(each.holder, each.name, each.original)
