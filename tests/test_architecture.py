"""The arrows of import, and what the core may not touch: no client library, no clock, no chance."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("infra", "connectors", "streams", "models")
CLIENTS = {"kafka", "confluent_kafka", "faust"}
BARRED = {"models": CLIENTS | {"duckdb", "pyarrow"}, "streams": CLIENTS | {"duckdb"}}
NOT_DETERMINISTIC = ("time.", "random.", "secrets.", "uuid.", "os.urandom", "numpy.random.")
CLOCKS = {"datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"}


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    env = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run([program, "--no-cache"], cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_imports_point_one_way() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("models/pending.py", "from streams.ports import Record"),
        ("streams/task.py", "import connectors.blobs"),
        ("connectors/blobs.py", "def late() -> None:\n    from infra.settings import Settings"),
    ],
)
def test_an_import_the_other_way_is_caught(tmp_path: Path, file: str, line: str) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    wrong = tmp_path / file
    wrong.write_text(f"{wrong.read_text()}\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert "BROKEN" in done.stdout
    assert file.removesuffix(".py").replace("/", ".") in done.stdout


@pytest.mark.parametrize("room", BARRED)
def test_the_core_imports_no_client_library(room: str) -> None:
    found = [f"{path.relative_to(ROOT)}: {name}" for path in sources(room) for name in imported(parse(path))]
    assert not [each for each in found if each.partition(": ")[2].partition(".")[0] in BARRED[room]]


def test_only_joins_and_checkpoints_use_arrow_in_the_core() -> None:
    readers = {path.name for path in sources("streams") if any(n.startswith("pyarrow") for n in imported(parse(path)))}
    assert readers == {"checkpoint.py", "joins.py"}, "tables are read by one, and the other compresses"


@pytest.mark.parametrize("room", BARRED)
def test_the_core_asks_no_clock_and_draws_no_lots(room: str) -> None:
    assert not [f"{path.relative_to(ROOT)}: {call}" for path in sources(room) for call in forbidden(parse(path))]


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.time()",
        "from time import monotonic as now\nnow()",
        "from datetime import datetime\ndatetime.now()",
        "import datetime as dt\ndt.datetime.now(dt.UTC)",
        "import random\nrandom.random()",
        "import numpy as np\nnp.random.default_rng()",
        "import time\nclock = time.monotonic",
    ],
)
def test_the_search_finds_clocks_and_chance(code: str) -> None:
    assert list(forbidden(ast.parse(code)))


def test_the_search_lets_types_pass() -> None:
    assert not list(forbidden(ast.parse("import random\nisinstance(1, random.Random)")))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), path)


def imported(tree: ast.Module) -> Iterator[str]:
    """Names of all modules imported anywhere in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def forbidden(tree: ast.Module) -> Iterator[str]:
    """Whatever in a file names a clock or a source of chance, by its full name. Classes may be named."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            full = full_name(node, names)
            is_class = full.rpartition(".")[2][:1].isupper()
            if full in CLOCKS or (full.startswith(NOT_DETERMINISTIC) and not is_class):
                yield full


def full_name(node: ast.AST, names: dict[str, str]) -> str:
    """``np.random.rand`` as numpy.random.rand; "" when it does not begin with something imported."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        begin = full_name(node.value, names)
        return f"{begin}.{node.attr}" if begin else ""
    return ""
