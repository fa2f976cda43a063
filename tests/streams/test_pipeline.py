"""A pipeline from its file, or a clear reason why not."""

from __future__ import annotations

import itertools
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams import load_pipeline
from streams.errors import Declined
from tests.streams.pipelines import trips

names = (f"loaded_{number}" for number in itertools.count())
Write = Callable[..., Path]

DECLARED = """
from tests.streams.pipelines import trips

def features(start, now):
    return {"km": start.km}

pipeline = trips.lean(features=features)
"""


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Writes a file under a module name that no other test uses; forgets the modules and the path afterwards."""
    before, path = set(sys.modules), list(sys.path)

    def file(text: str, name: str = "") -> Path:
        made = tmp_path / (name or f"{next(names)}.py")
        made.write_text(text)
        return made

    yield file
    for module in set(sys.modules) - before:
        del sys.modules[module]
    sys.path[:] = path


def declined(path: Path | str) -> str:
    with pytest.raises(Declined) as caught:
        load_pipeline(path)
    assert caught.value.where == str(path)
    assert caught.value.remedy
    return caught.value.what


def test_a_file_gives_its_one_pipeline_and_its_functions_pickle(write: Write) -> None:
    path = write(DECLARED)
    pipeline = load_pipeline(path)
    assert pipeline.name == "trips"
    assert pickle.loads(pickle.dumps(pipeline.features)) is pipeline.features


def test_a_file_is_imported_once(write: Write) -> None:
    path = write(DECLARED)
    assert load_pipeline(path) is load_pipeline(str(path))


def test_a_file_may_import_what_lies_beside_it(write: Write) -> None:
    beside = write("KM = 3")
    assert load_pipeline(write(f"import {beside.stem}\n{DECLARED}")).name == "trips"


def test_one_pipeline_under_two_names_is_one(write: Write) -> None:
    assert load_pipeline(write(DECLARED + "again = pipeline\n")).name == "trips"


def test_no_pipeline_and_several_are_declined(write: Write) -> None:
    assert declined(write("x = 1")) == "the file declares 0 pipelines"
    assert declined(write(DECLARED + "other = trips.lean()\n")) == "the file declares 2 pipelines"


def test_a_file_that_is_none_or_not_python_is_declined(write: Write, tmp_path: Path) -> None:
    assert "no such" in declined(tmp_path / "nowhere.py")
    assert "no such" in declined(tmp_path)
    assert "no such" in declined(write("name = 'trips'", "pipeline_declared.toml"))


@pytest.mark.parametrize("text", ["def", "import nothing_of_this_name", "1 / 0", "raise KeyError('x')"])
def test_a_file_that_does_not_import_is_declined_with_the_error(write: Write, text: str) -> None:
    path = write(text)
    assert "does not import: " in declined(path)
    assert path.stem not in sys.modules
    path.write_text(DECLARED)
    assert load_pipeline(path).name == "trips", "once it is mended it loads"


def test_a_declaration_that_declines_itself_says_so(write: Write) -> None:
    path = write("from streams.errors import Declined\nraise Declined('no data here', where='x', remedy='get it')")
    with pytest.raises(Declined, match="no data here"):
        load_pipeline(path)


@pytest.mark.parametrize("name", ["json.py", "river.py", "my-pipeline.py", "1st.py", "two.dots.py", "streams.py"])
def test_a_name_that_is_taken_or_no_module_name_is_declined(write: Write, name: str) -> None:
    assert "is taken or not a Python name" in declined(write(DECLARED, name))


def test_two_files_of_one_name_are_not_confused(write: Write, tmp_path: Path) -> None:
    first = write(DECLARED)
    load_pipeline(first)
    other = tmp_path / "elsewhere" / first.name
    other.parent.mkdir()
    other.write_text(DECLARED)
    assert "is taken" in declined(other)


def test_inputs_come_references_first_and_events_last() -> None:
    assert [stream.topic for stream in trips.pipeline.inputs] == ["sky", "ends", "starts"]


def test_every_topic_has_the_pipelines_partitions() -> None:
    topics = trips.lean(partitions=3).topics
    assert set(topics.values()) == {3}
    assert list(topics) == [
        *("ends", "starts", "trips.control", "trips.features", "trips.predictions", "trips.outcomes"),
        *("trips.metrics", "trips.drift", "trips.decisions", "trips.versions", "trips.rejects", "trips.alerts"),
        *("trips.journal", "trips.recovery"),
    ]


def test_the_kind_of_target_is_told_by_its_annotation() -> None:
    assert [p.kind for p in (trips.pipeline, trips.regression(), trips.multiclass())] == [
        "binary",
        "regression",
        "multiclass",
    ]
