"""Other stream processors, each in a virtual environment of its own: build/peers/<name>.

``make lock`` resolves <name>.in into <name>.lock. Beside the peer they hold what the workloads need.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PEERS = Path("build/peers")
INSTALL_S = 600


def python_of(peer: str) -> Path:
    """The Python of this peer, installed when it is first asked for. Raises CalledProcessError where it cannot be."""
    lock, home = HERE / f"{peer}.lock", PEERS / peer
    python, ready = home / "bin" / "python", home / "ready"
    if not ready.exists() or ready.read_text() != lock.read_text():
        _run(sys.executable, "-m", "venv", "--clear", str(home))
        _run(
            str(python),
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "-q",
            "--require-hashes",
            "-r",
            str(lock),
        )
        ready.write_text(lock.read_text())
    return python.absolute()


def versions_of(peer: str) -> dict[str, str]:
    """The packages asked for, and their locked versions."""
    asked = {line.split("==")[0].split("[")[0] for line in (HERE / f"{peer}.in").read_text().split()}
    locked = (line.split()[0].split("==") for line in (HERE / f"{peer}.lock").read_text().splitlines() if "==" in line)
    return {name: number for name, number in locked if name.split("[")[0] in asked}


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=INSTALL_S, capture_output=True, text=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(lock.stem for lock in HERE.glob("*.lock")):
        print(python_of(name))
