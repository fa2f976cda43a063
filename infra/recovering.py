"""The progress of recoveries: a bar a task at a terminal; elsewhere the log says when a task is back."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_BAR = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


class Recovering:
    """Shows what a worker's recoveries tell.

    Examples
    --------
    >>> with Recovering(Console(quiet=True)) as bars:
    ...     bars.show(task=0, done=10, total=40)
    """

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._progress = Progress(*_BAR, console=console, transient=True, disable=not console.is_terminal)
        self._bars: dict[int, TaskID] = {}

    def show(self, task: int, done: int, total: int) -> None:
        """So many of the records to replay are done; the bar goes when all are."""
        if task not in self._bars:
            self._bars[task] = self._progress.add_task(f"task {task}: replaying records", total=total)
            self._progress.start()
        self._progress.update(self._bars[task], completed=done, total=total)
        if done == total:
            self._progress.remove_task(self._bars.pop(task))
            if not self._bars:
                self._progress.stop()

    def __enter__(self) -> Recovering:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
