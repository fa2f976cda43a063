"""The files that Prometheus and Grafana read, put where they are wanted."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from shutil import copyfile

NAMES = ("prometheus.yml", "rules/recording.yml", "rules/alerts.yml", "grafana/riverrun.json")


def write_files(folder: Path) -> None:
    """Write configuration, rules and dashboard into a folder, over those of an earlier version.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_files(folder)
    >>> sorted(path.name for path in folder.rglob("*") if path.is_file())
    ['alerts.yml', 'prometheus.yml', 'recording.yml', 'riverrun.json']
    """
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (folder / name).parent.mkdir(exist_ok=True)
        with as_file(files("infra.prometheus") / name) as ours:
            copyfile(ours, folder / name)
