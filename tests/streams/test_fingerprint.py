"""The fingerprint changes with everything that decides what a task computes, and with nothing else."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from river.drift import ADWIN
from river.linear_model import LogisticRegression
from river.optim import SGD

from models import Learner, on_error
from streams import Table, load_pipeline
from streams.errors import Declined
from streams.fingerprint import fingerprint
from tests.streams.pipelines import trips

names = (f"printed_{number}" for number in itertools.count())
Project = Callable[[], str]

PIPELINE = """
from {beside} import scale
from {package}.deep import more
from streams import Table
from tests.streams.pipelines import trips

def features(start, now):
    return {{"km": scale(start.km) + more}}

pipeline = trips.lean(features=features, tables=[Table(r"{table}", trips.Sky, key="city")])
"""


class Folder:
    """A pipeline's file, a module and a package beside it, and a table."""

    def __init__(self, path: Path) -> None:
        self.beside, self.package, self.name = next(names), next(names), next(names)
        self.pipeline, self.sibling = path / f"{self.name}.py", path / f"{self.beside}.py"
        self.deep, self.table, self.unrelated = path / self.package / "deep.py", path / "sky.csv", path / "unrelated.py"
        self.deep.parent.mkdir()
        self.around = path / self.package / "__init__.py"
        self.around.write_text("")
        self.sibling.write_text("def scale(km):\n    return km\n")
        self.deep.write_text("more = 0\n")
        self.table.write_text("city,at,rain\n")
        self.unrelated.write_text("x = 1\n")
        self.pipeline.write_text(PIPELINE.format(beside=self.beside, package=self.package, table=self.table))

    def fingerprint(self) -> str:
        importlib.invalidate_caches()
        return fingerprint(load_pipeline(self.pipeline))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    before, path = set(sys.modules), list(sys.path)
    yield Folder(tmp_path)
    for module in set(sys.modules) - before:
        del sys.modules[module]
    sys.path[:] = path


def test_it_is_sixteen_hex_digits_and_stays_the_same(folder: Folder) -> None:
    first = folder.fingerprint()
    assert first == folder.fingerprint()
    assert len(first) == 16
    assert set(first) <= set("0123456789abcdef")


@pytest.mark.parametrize("what", ["pipeline", "sibling", "deep", "around", "table"])
def test_it_changes_with_the_code_what_lies_beside_it_and_the_tables(folder: Folder, what: str) -> None:
    before = folder.fingerprint()
    with getattr(folder, what).open("a") as file:
        file.write("\n# changed" if what != "table" else "nyc,2013-01-01T00:00:00Z,0.5\n")
    assert folder.fingerprint() != before


def test_it_does_not_change_with_a_file_that_is_not_imported(folder: Folder) -> None:
    before = folder.fingerprint()
    folder.unrelated.write_text("x = 2\n")
    assert folder.fingerprint() == before


def test_it_does_not_change_with_what_others_import_from_the_folder(folder: Folder) -> None:
    before = folder.fingerprint()
    spec = importlib.util.spec_from_file_location(f"unrelated_{folder.name}", folder.unrelated)
    assert spec is not None
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    assert folder.fingerprint() == before


def test_a_missing_table_is_declined(folder: Folder) -> None:
    folder.table.unlink()
    with pytest.raises(Declined, match="is not there"):
        folder.fingerprint()


def test_it_changes_with_the_declaration_wherever_that_was_written() -> None:
    fast = Learner("logistic", LogisticRegression(SGD(0.9)))
    same, *changed = [
        trips.lean(),
        trips.lean(champion=fast),
        trips.lean(baselines=[fast]),
        trips.lean(challengers=[fast]),
        trips.lean(drift=[on_error(ADWIN())]),
        trips.lean(drift=[on_error(ADWIN(delta=0.3))]),
        trips.lean(missing="keep"),
        trips.lean(report_every=timedelta(seconds=31)),
        trips.lean(sliding_periods=4),
        trips.lean(labels=trips.ends(early="reject")),
        trips.lean(labels=trips.ends(pending_max=7)),
        trips.lean(references=[trips.sky]),
        trips.lean(name="other"),
    ]
    prints = [fingerprint(pipeline) for pipeline in (same, *changed)]
    assert len(set(prints)) == len(prints)
    assert fingerprint(trips.lean()) == prints[0]


def test_it_does_not_change_with_how_work_is_cut() -> None:
    assert fingerprint(trips.lean(batch_max=3, checkpoint_every=7)) == fingerprint(trips.lean())
    assert fingerprint(trips.lean(idle_after=timedelta(seconds=9))) == fingerprint(trips.lean())


def test_it_is_the_same_in_processes_that_hash_text_differently() -> None:
    code = "from streams.fingerprint import fingerprint\nfrom tests.streams.pipelines import trips\n"
    code += "print(fingerprint(trips.pipeline))"
    said = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        said.add(done.stdout)
    assert len(said) == 1


def test_tables_count_by_their_contents(tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    for path in (one, two):
        path.write_text("city,at,rain\n")
    prints = [fingerprint(trips.lean(tables=[Table(path, trips.Sky, key="city")])) for path in (one, two)]
    assert prints[0] == prints[1] != fingerprint(trips.lean())
