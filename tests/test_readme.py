"""What README and docs print is true: the first pipeline runs as printed, targets, files and links exist."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
import tokenize
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import msgspec
import psutil
import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from streams.journal import JournalRecord
from streams.pipeline import Pipeline
from streams.records import PUBLISHED, RecoveryRecord

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATHS = re.compile(r"\b((?:streams|models|connectors|infra|examples|tests|docs)/[\w./-]*\w/?)")
LINES_MAX = 30
DEADLINE_S = 90


def first_pipeline() -> tuple[str, list[str]]:
    """The code of the section with the first pipeline, and its blocks of shell commands in order."""
    _, _, section = (ROOT / "README.md").read_text().partition("## A first pipeline of your own in 30 lines\n")
    blocks = FENCE.findall(section.partition("\n## ")[0])
    (code,) = [text for language, text in blocks if language == "python"]
    return code, [text for language, text in blocks if language == "sh"]


def until(found: Callable[[], object]) -> None:
    """Wait until ``found()`` is true; an error after DEADLINE_S."""
    waiting = Retrying(
        stop=stop_after_delay(DEADLINE_S), wait=wait_fixed(0.2), retry=retry_if_result(lambda yes: not yes)
    )
    waiting(found)


def test_the_first_pipeline_has_30_lines_of_code() -> None:
    code, _ = first_pipeline()
    assert code.startswith("# pipeline.py\n")
    no_code = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = tokenize.generate_tokens(iter(code.splitlines(keepends=True)).__next__)
    lines = {line for t in tokens if t.type not in no_code for line in range(t.start[0], t.end[0] + 1)}
    assert len(lines) <= LINES_MAX


@pytest.mark.broker
def test_the_first_pipeline_runs_as_printed(tmp_path: Path) -> None:
    code, (start, send, tail, sql) = first_pipeline()
    (tmp_path / "pipeline.py").write_text(code)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RIVERRUN_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**kept, "PATH": path, "RIVERRUN_HOME": str(tmp_path / "home"), "COLUMNS": "160", "NO_COLOR": "1"}

    def run(script: str) -> str:
        command = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=DEADLINE_S
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    check, up = start.splitlines()
    assert "no mistakes found" in run(check)
    log = tmp_path / "up.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [*up.split(), "--metrics-port", "0"], cwd=tmp_path, env=env, stdout=output, stderr=output
        )
    try:
        until(lambda: "metrics on" in log.read_text() or running.poll() is not None)
        assert running.poll() is None, log.read_text()
        (port,) = re.findall(r"metrics on http://127\.0\.0\.1:(\d+) ", log.read_text())
        assert int(port) > 0, "with --metrics-port 0 the system chooses"
        run(send)
        predictions = [msgspec.json.decode(line)["value"] for line in run(tail).splitlines()]
        assert [p["event_id"] for p in predictions] == ["p1", "p2", "p3", "p4", "p5", "p6"]
        assert [p["probability"] for p in predictions[:4]] == [0.5] * 4, "nothing was known yet"
        assert predictions[4]["probability"] > 0.5 > predictions[5]["probability"], "it has learned"
        assert [shadow["model"] for p in predictions for shadow in p["shadows"]] == ["tree"] * 6
        outcomes, last = sql.splitlines()
        until(lambda: running.poll() is not None or "p4" in _quietly(run, outcomes))
        assert re.findall(r"│ (p\d) +│ (\w+) +│ (\w+)", run(outcomes)) == [
            (event, model, label)
            for event, label in (("p1", "False"), ("p2", "True"), ("p3", "False"), ("p4", "True"))
            for model in ("logistic", "tree")
        ]
        until(lambda: running.poll() is not None or "p6" in run(last))
        assert run(last).strip() in (ROOT / "README.md").read_text(), "the table in the README is what comes out"
    finally:
        children = psutil.Process(running.pid).children(recursive=True) if running.poll() is None else []
        running.terminate()
        running.wait(DEADLINE_S)
        assert not psutil.wait_procs(children, timeout=10)[1], "up stops all that it started"


def _quietly(run: Callable[[str], str], script: str) -> str:
    """The output, or nothing as long as the sink has not written."""
    try:
        return run(script)
    except AssertionError:
        return ""


def test_the_examples_of_the_pipeline_page_run() -> None:
    page = ROOT / "docs" / "pipeline.md"
    code = "".join(text for language, text in FENCE.findall(page.read_text()) if language == "python")
    name = "pipeline_page"  # functions of a pipeline have a module: this one stands in for the person's file
    module = sys.modules[name] = ModuleType(name)
    try:
        examples = doctest.DocTestParser().get_doctest(code, module.__dict__, name, str(page), 0)
        examples.globs = module.__dict__
        said: list[str] = []
        result = doctest.DocTestRunner().run(examples, out=said.append, clear_globs=False)
    finally:
        del sys.modules[name]
    assert result.attempted > 30
    assert not result.failed, "".join(said)


def test_the_pipeline_page_names_each_field_of_each_topic() -> None:
    text = (ROOT / "docs" / "pipeline.md").read_text()
    for output, record in {**PUBLISHED, "journal": JournalRecord, "recovery": RecoveryRecord}.items():
        (named,) = re.findall(rf"^\| `{{name}}\.{output}` \|.*\| (.*) \|$", text, re.MULTILINE)
        assert named == ", ".join(f"`{field}`" for field in record.__struct_fields__), output


def test_the_pipeline_page_has_each_setting_with_its_default() -> None:
    text = (ROOT / "docs" / "pipeline.md").read_text()
    shown = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text.partition("## Settings of")[2], re.MULTILINE))
    plain = {f.name: f.default for f in fields(Pipeline) if isinstance(f.default, int | str)}
    for name, default in plain.items():
        assert shown[name] == (f"{default:,}" if isinstance(default, int) else f'`"{default}"`'), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_files_and_links_exist(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    promised = {"bench"}  # said to be to come
    assert set(re.findall(r"`make ([a-z-]+)", text)) - targets <= promised
    missing = [name for name in PATHS.findall(text) if not (ROOT / name).exists()]
    assert not missing
    prose = FENCE.sub("", text)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", prose):
        file = page.parent / target if target else page
        assert file.exists(), target
        if anchor:
            assert anchor in {f"#{slug(title)}" for title in re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)}


def slug(title: str) -> str:
    """The anchor that GitHub gives a heading.

    >>> slug("Where it differs, as `built`")
    'where-it-differs-as-built'
    """
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
