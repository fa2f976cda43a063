"""The command line: help teaches and is quick, errors carry their remedy and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from infra import cli

HEAVY = {"confluent_kafka", "duckdb", "kafka", "numpy", "pandas", "pyarrow", "pydantic", "river"}


def riverrun(*args: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, as a person would."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RIVERRUN_")}
    env = {**kept, "RIVERRUN_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "120", **variables}
    command = [sys.executable, "-c", "from infra.cli import main; main()", *args]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_help_shows_examples_settings_and_every_command_by_panel(tmp_path: Path):
    done = riverrun("--help", home=tmp_path)
    assert done.returncode == 0
    assert "riverrun broker start" in done.stdout
    assert "RIVERRUN_BOOTSTRAP_SERVERS" in done.stdout
    for name, (panel, _) in cli.COMMANDS.items():
        assert f" {name} " in done.stdout
        assert f"─ {panel} ─" in done.stdout


def test_help_imports_nothing_heavy():
    code = (
        "import sys, infra.cli; infra.cli.app(['--help'], standalone_mode=False); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stderr.split())


def test_a_worker_imports_nothing_that_it_has_no_use_for():
    # scikit-learn and pandas too: River imports them if they are there, 0.4 s of every start
    code = "import sys, infra.roles.worker, river.forest, river.linear_model; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"aiohttp", "duckdb", "faust", "kafka", "pandas", "plotly", "sklearn"}.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_in_the_table_is_there_and_has_help(name: str):
    assert cli.load(name).help


def test_version(tmp_path: Path):
    assert riverrun("--version", home=tmp_path).stdout == f"riverrun {version('riverrun')}\n"


def test_an_error_is_two_lines_with_the_remedy_and_a_traceback_on_request(tmp_path: Path):
    half = {"RIVERRUN_SASL_USERNAME": "someone"}
    done = riverrun("broker", "status", home=tmp_path, **half)
    assert done.returncode == 2
    assert done.stdout == ""
    error, remedy = done.stderr.splitlines()
    assert error.startswith("error: RIVERRUN_SASL_USERNAME: PLAINTEXT does not use it (")
    assert remedy.startswith("remedy: set RIVERRUN_SECURITY_PROTOCOL")
    assert "Traceback" in riverrun("--debug", "broker", "status", home=tmp_path, **half).stderr
    assert "Traceback" in riverrun("broker", "status", home=tmp_path, RIVERRUN_DEBUG="1", **half).stderr


def test_a_misspelt_command_is_suggested(tmp_path: Path):
    done = riverrun("brokr", home=tmp_path)
    assert done.returncode == 2
    assert "Did you mean 'broker'?" in done.stderr


def test_ctrl_c_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "load", interrupted)
    monkeypatch.setattr(sys, "argv", ["riverrun", "broker"])
    with pytest.raises(SystemExit) as exited:
        cli.main()
    assert exited.value.code == 130
    assert capsys.readouterr() == ("", "")


def test_a_configured_cluster_is_used_instead_of_a_broker(tmp_path: Path):
    done = riverrun("broker", "start", home=tmp_path, RIVERRUN_BOOTSTRAP_SERVERS="kafka-1:9092")
    assert done.returncode == 0
    assert "kafka-1:9092 is used" in done.stdout


@pytest.mark.broker
def test_a_broker_started_here_stays_until_it_is_stopped(tmp_path: Path):
    assert riverrun("broker", "status", home=tmp_path).returncode == 1
    started = riverrun("broker", "start", "--port", "0", home=tmp_path)
    try:
        address = started.stdout.strip()
        assert address.startswith("127.0.0.1:"), started.stderr
        assert address in riverrun("broker", "status", home=tmp_path).stdout
        again = riverrun("broker", "start", home=tmp_path)
        assert (again.returncode, "runs on this folder already" in again.stderr) == (2, True)
    finally:
        assert riverrun("broker", "stop", home=tmp_path).stdout == "stopped\n"
    assert riverrun("broker", "stop", home=tmp_path).stdout == "no broker runs\n"
