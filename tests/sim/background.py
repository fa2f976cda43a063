"""Work beside the data path without a thread: it is done when the test says, or when someone waits for its result."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class _Promise(Future[T]):
    """A future whose ``result`` does the work that is still to be done before it, and then its own."""

    def __init__(self, background: Background) -> None:
        super().__init__()
        self._background = background

    def result(self, timeout: float | None = None) -> T:
        while not self.done() and self._background.turn():
            pass
        return super().result(timeout=0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        while not self.done() and self._background.turn():
            pass
        return super().exception(timeout=0)


class Background:
    """A piece of work at a time, in the order it was submitted, as an executor with one thread would.

    Examples
    --------
    >>> background, done = Background(), []
    >>> first, second = (background.submit(lambda: done.append(1)), background.submit(lambda: done.append(2)))
    >>> done, background.turn(), done, first.done(), second.done()
    ([1], True, [1], True, False)
    >>> second.result(), done, background.turn()
    (None, [1, 2], False)
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[_Promise[Any], Callable[[], Any]]] = deque()

    def submit(self, work: Callable[[], T], /) -> Future[T]:
        """Take the work in. It has not begun."""
        promise: _Promise[T] = _Promise(self)
        self._waiting.append((promise, work))
        return promise

    def turn(self) -> bool:
        """Do the next piece of work. Whether there was one.

        A crash comes out of here and not from the future: it is the process that dies, not the work that fails.
        """
        if not self._waiting:
            return False
        promise, work = self._waiting.popleft()
        try:
            promise.set_result(work())
        except Exception as error:
            promise.set_exception(error)
        return True


class AtOnce:
    """Work in the background that is done by the time it is asked for."""

    def submit(self, work: Callable[[], T], /) -> Future[T]:
        future = Future[T]()
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)
        return future
