"""A state is pickled in a forked copy of the process, and in place when that cannot be."""

from __future__ import annotations

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import pytest
from river.linear_model import LogisticRegression

from connectors.forked import ForkedFreeze
from streams.checkpoint import freeze, thaw
from streams.errors import StoreUnavailable


class Fatal:
    """Ends the process that pickles it."""

    def __reduce__(self) -> NoReturn:
        os._exit(7)


class Hangs:
    """Never gets pickled."""

    def __reduce__(self) -> NoReturn:
        while True:
            time.sleep(1)


def children() -> list[str]:
    path = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
    with open(path) as listed:
        return listed.read().split()


def test_it_gives_the_state_of_its_moment_whatever_is_done_after_it() -> None:
    state: dict[str, Any] = {"model": LogisticRegression(), "blob": os.urandom(5_000_000)}
    frozen, before = ForkedFreeze()(state), freeze(state)
    state["model"].learn_one({"x": 1.0}, True)
    with ThreadPoolExecutor(1) as background:
        assert background.submit(frozen).result() == before
    assert not children()


def test_a_copy_that_dies_is_told_of_and_the_next_state_is_pickled_in_place() -> None:
    forked = ForkedFreeze()
    with pytest.raises(StoreUnavailable, match="ended with status 7"):
        forked(Fatal())()
    with pytest.raises(AttributeError):  # in place: it says so here
        forked(lambda: None)
    assert thaw(forked({"w": 1})()) == {"w": 1}
    assert not children()


def test_a_copy_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.forked.SILENT_S_MAX", 0.2)
    with pytest.raises(StoreUnavailable, match="status -9"):
        ForkedFreeze()(Hangs())()
    assert not children()


def test_without_room_for_a_process_it_pickles_in_place(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full() -> NoReturn:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", full)
    assert thaw(ForkedFreeze()({"w": 1})()) == {"w": 1}
    assert "Resource temporarily unavailable" in caplog.text
