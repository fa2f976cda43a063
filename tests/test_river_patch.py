"""docs/river: what is proposed to River applies to the version that we use, and does what it says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import river

PATCH = Path(__file__).parents[1] / "docs" / "river" / "import-when-used.patch"
CHANGED = (
    *("drift/kswin.py", "metrics/geometric_mean.py", "metrics/roc_auc.py", "proba/gaussian.py", "stream/iter_arff.py"),
    "tree/stochastic_gradient_tree.py",
)
"""All files with examples that can be run here; that of ``iter_sklearn_dataset`` needs scikit-learn."""

Run = Callable[..., str]


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs Python with a patched copy of River, and gives what it prints."""
    folder = tmp_path_factory.mktemp("patched")
    shutil.copytree(Path(river.__file__).parent, folder / "river", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "apply", PATCH], cwd=folder, check=True)

    def run(*arguments: str) -> str:
        env = {**os.environ, "PYTHONPATH": str(folder)}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_river_imports_nothing_that_it_does_not_use_yet(patched: Run) -> None:
    code = "import sys, river.linear_model, river.forest, river.metrics; print(river.__file__, *sys.modules)"
    file, *modules = patched("-c", code).split()
    assert Path(file) != Path(river.__file__)
    assert {"scipy.stats", "scipy.integrate", "scipy.io", "sklearn", "pandas"}.isdisjoint(modules)


def test_what_was_changed_does_what_it_did(patched: Run) -> None:
    flags = "doctest_optionflags=NORMALIZE_WHITESPACE ELLIPSIS NUMBER"  # as River runs its examples
    options = ["-q", "--doctest-modules", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".", "-o", flags]
    said = patched("-m", "pytest", *options, *(f"river/{file}" for file in CHANGED))
    assert "passed" in said
    assert "skipped" not in said
