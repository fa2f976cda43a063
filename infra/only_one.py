"""One process of a kind at a time: started twice by mistake, the second one says so and leaves."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

from streams.errors import Declined


@contextmanager
def only_one(folder: Path, name: str) -> Iterator[None]:
    """Hold the place of this name in this folder. The system gives it up for us, however we die.

    Raises Declined when another process holds it.

    Examples
    --------
    >>> import tempfile
    >>> with only_one(Path(tempfile.mkdtemp()), "worker 1"):
    ...     pass
    """
    path = folder / "running" / name.replace(" ", "-")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Declined(
                f"{name} runs here already, as process {file.read().strip() or '?'}",
                where=str(folder),
                remedy="use the running one; give a further worker another --id, another pipeline another name",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def numbered(folder: Path, name: str) -> Iterator[str]:
    """Hold the first free one of the places "name 1", "name 2", … in this folder, and say which: its number.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with numbered(folder, "sink") as first, numbered(folder, "sink") as second:
    ...     first, second
    ('1', '2')
    """
    with ExitStack() as held:
        for number in count(1):
            with suppress(Declined):
                held.enter_context(only_one(folder, f"{name} {number}"))
                break
        yield str(number)
