"""What was resolved of late is known for as long as promised, and is saved the same however it came there."""

from __future__ import annotations

import pickle
from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from models.digest import state_digest
from models.resolved import BUCKETS, ResolvedEvents

names = st.sampled_from("abcdefgh")
steps = st.lists(st.tuples(names, st.integers(0, 9)), max_size=60)


def known(resolved: ResolvedEvents, now_ms: int) -> dict[str, bool]:
    found = {name: resolved.get(name) for name in "abcdefgh"}
    return {name: bool(entry[2]) for name, entry in found.items() if entry is not None and entry[1] > now_ms}


@given(steps, st.integers(1, 300), st.integers(1, 6))
def test_it_knows_what_a_plain_dict_would(history: list[tuple[str, int]], ttl_ms: int, events_max: int) -> None:
    resolved, plain, now_ms = ResolvedEvents(ttl_ms, events_max), OrderedDict[str, tuple[int, bool]](), 0
    for number, (name, pause_ms) in enumerate(history):
        now_ms += pause_ms
        resolved.add(name, now_ms + ttl_ms, number % 2 == 0)
        plain[name] = (now_ms + ttl_ms, number % 2 == 0)
        plain.move_to_end(name)
        if len(plain) > events_max:
            plain.popitem(last=False)
        resolved.forget(now_ms)
        assert known(resolved, now_ms) == {
            name: label for name, (until_ms, label) in plain.items() if until_ms > now_ms
        }


@given(steps, st.integers(1, 300), st.integers(1, 6), st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_neither_a_restart_nor_when_it_forgets_shows(
    history: list[tuple[str, int]], ttl_ms: int, events_max: int, stops: set[int], forgets: set[int]
) -> None:
    straight, broken = ResolvedEvents(ttl_ms, events_max), ResolvedEvents(ttl_ms, events_max)
    now_ms = 0
    for number, (name, pause_ms) in enumerate(history):
        now_ms += pause_ms
        straight.add(name, now_ms + ttl_ms, True)
        broken.add(name, now_ms + ttl_ms, True)
        if number in forgets:
            broken.forget(now_ms)
        if number in stops:
            broken = pickle.loads(pickle.dumps(broken))
    straight.forget(now_ms)
    broken.forget(now_ms)
    assert state_digest(broken) == state_digest(straight)
    assert known(broken, now_ms) == known(straight, now_ms)


def test_a_bucket_is_packed_once() -> None:
    resolved = ResolvedEvents(ttl_ms=BUCKETS * 10, events_max=1_000)
    for at_ms in range(100):
        resolved.add(f"event {at_ms}", at_ms + BUCKETS * 10, True)
    first, again = resolved.__reduce__()[1][2], resolved.__reduce__()[1][2]
    assert [one is other for one, other in zip(first, again, strict=True)] == [True] * 9 + [False]


def test_a_bucket_goes_when_the_last_of_it_is_out_of_date() -> None:
    resolved = ResolvedEvents(ttl_ms=BUCKETS * 10, events_max=1_000)
    for name, until_ms in [("a", 641), ("b", 649), ("c", 650)]:
        resolved.add(name, until_ms, True)
    resolved.forget(648)
    assert list(resolved) == ["a", "b", "c"]
    resolved.forget(649)
    assert list(resolved) == ["c"]
    assert len(resolved) == 1


def test_new_limits_hold_from_then_on() -> None:
    # until    640 … 649 │ 650 651      a bucket of 10 ms, of 640 and of 1 when the limits change
    resolved = ResolvedEvents(ttl_ms=BUCKETS * 10, events_max=1_000)
    for at_ms in (0, 1, 10, 11):
        resolved.add(f"event {at_ms}", at_ms + BUCKETS * 10, True)
    resolved.limit(ttl_ms=BUCKETS, events_max=3)
    resolved.add("event 20", 20 + BUCKETS * 10, True)
    assert list(resolved) == ["event 10", "event 11", "event 20"]
    assert len(resolved.__reduce__()[1][2]) == 2, "no longer in one bucket with those 9 ms before"
    assert state_digest(pickle.loads(pickle.dumps(resolved))) == state_digest(resolved)
