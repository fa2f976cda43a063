"""Every event ends exactly once: scored by its first label, or expired."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from models.pending import HeldLabel, PendingEvent, PendingLabels


def event(event_id: str, offset: int = 0) -> PendingEvent:
    return PendingEvent(event_id, b"key", 0, offset, {"x": 1.0}, ())


def early(label: bool, offset: int = 0) -> HeldLabel:
    return HeldLabel(label, 0, offset, 0, b"key", b"raw")


def test_a_label_meets_its_event_and_finds_the_features_it_was_predicted_on() -> None:
    waiting = PendingLabels(ttl_ms=100)
    waiting.add(event("a"), now_ms=0)
    met, found = waiting.match("a", True, now_ms=20)
    assert (met, found) == ("scored", event("a"))
    assert waiting.match("a", True, now_ms=20)[0] == "scored", "matching changes nothing"


def test_a_second_label_is_a_duplicate_or_a_correction() -> None:
    waiting = PendingLabels(ttl_ms=100)
    waiting.add(event("a"), now_ms=0)
    waiting.resolve("a", True, now_ms=10)
    assert waiting.match("a", True, now_ms=20) == ("duplicate", None)
    assert waiting.match("a", False, now_ms=20) == ("corrected", None)
    assert len(waiting) == 0


def test_a_label_without_an_event_is_an_orphan_unless_early_ones_are_held() -> None:
    assert PendingLabels(ttl_ms=100).match("a", True, now_ms=20) == ("orphan", None)
    assert PendingLabels(ttl_ms=100, hold_early=True).match("a", True, now_ms=20) == ("held", None)


def test_a_held_label_waits_once_for_its_event() -> None:
    waiting = PendingLabels(ttl_ms=100, hold_early=True)
    waiting.hold("a", early(True), now_ms=0)
    assert waiting.match("a", True, now_ms=20)[0] == "duplicate"
    assert waiting.match("a", False, now_ms=20)[0] == "corrected"
    assert waiting.take_held("a") == early(True)
    assert waiting.take_held("a") is None


def test_an_event_expires_when_its_time_is_over_and_not_before() -> None:
    # now   0     99    100
    # a     wait  wait  expired     ttl 100
    waiting = PendingLabels(ttl_ms=100)
    waiting.add(event("a"), now_ms=0)
    assert waiting.expire(99) == ([], [])
    assert waiting.expire(100) == ([event("a")], [])
    assert waiting.match("a", True, now_ms=100)[0] == "orphan"
    assert not waiting.knows("a", now_ms=100)


def test_a_held_label_expires_with_its_record() -> None:
    waiting = PendingLabels(ttl_ms=100, hold_early=True)
    waiting.hold("a", early(True, offset=7), now_ms=0)
    assert waiting.expire(100) == ([], [("a", early(True, offset=7))])
    assert waiting.take_held("a") is None


def test_what_was_resolved_is_forgotten_in_time() -> None:
    waiting = PendingLabels(ttl_ms=100)
    waiting.add(event("a"), now_ms=0)
    waiting.resolve("a", True, now_ms=50)
    assert waiting.knows("a", now_ms=149)
    assert not waiting.knows("a", now_ms=150)
    assert waiting.match("a", True, now_ms=150)[0] == "orphan"
    waiting.resolved.forget(149)
    assert list(waiting.resolved) == ["a"]
    waiting.resolved.forget(150)
    assert not waiting.resolved


def test_what_is_resolved_again_is_remembered_for_as_long_as_the_others() -> None:
    # now        0          100        101
    # resolved   a, b, c    a again
    # known                 a          a        ttl 100
    waiting = PendingLabels(ttl_ms=100)
    for event_id, now_ms in [("a", 0), ("b", 0), ("c", 0), ("a", 100)]:
        waiting.add(event(event_id), now_ms)
        waiting.resolve(event_id, True, now_ms)
    waiting.resolved.forget(101)
    assert list(waiting.resolved) == ["a"]


def test_beyond_the_limit_the_oldest_expire_early() -> None:
    waiting = PendingLabels(ttl_ms=100, pending_max=2, hold_early=True)
    for i, event_id in enumerate("abc"):
        waiting.add(event(event_id), now_ms=i)
        waiting.hold(event_id.upper(), early(True), now_ms=i)
    events, labels = waiting.expire(3)
    assert [e.event_id for e in events] == ["a"]
    assert [event_id for event_id, _ in labels] == ["A"]
    assert len(waiting) == 2


def test_what_is_remembered_as_resolved_is_limited_too() -> None:
    waiting = PendingLabels(ttl_ms=100, pending_max=2)
    for event_id in "abc":
        waiting.add(event(event_id), now_ms=0)
        waiting.resolve(event_id, True, now_ms=0)
    assert [waiting.knows(event_id, now_ms=1) for event_id in "abc"] == [False, True, True]


def test_adding_a_known_event_is_our_own_mistake() -> None:
    waiting = PendingLabels(ttl_ms=100)
    waiting.add(event("a"), now_ms=0)
    with pytest.raises(AssertionError, match="caller rejects"):
        waiting.add(event("a"), now_ms=0)


class EachEventEndsOnce(RuleBasedStateMachine):
    """Events and labels in any order, as the task handles them; a plain dict keeps the books."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.now_ms, self.ttl_ms = 0, 50
        self.waiting = PendingLabels(self.ttl_ms, pending_max=5, hold_early=True)
        self.open: dict[int, tuple[str, int]] = {}  # offset -> event id, when it came
        self.labels: dict[int, str] = {}  # offset of each label -> what became of it
        self.ended: dict[int, str] = {}  # offset of each event -> how it ended
        self.offset = 0

    def end(self, offset: int, how: str) -> None:
        assert offset not in self.ended, "an event ends once"
        self.ended[offset] = how
        del self.open[offset]

    @rule(target=ids, event_id=st.sampled_from("abcdefgh"))
    def an_event_comes(self, event_id: str) -> str:
        self.offset += 1
        if not self.waiting.knows(event_id, self.now_ms):
            self.open[self.offset] = (event_id, self.now_ms)
            self.waiting.add(event(event_id, self.offset), self.now_ms)
            held = self.waiting.take_held(event_id)
            if held is not None:
                assert self.labels[held.offset] == "held"
                self.labels[held.offset] = "scored"
                self.waiting.resolve(event_id, held.label, self.now_ms)
                self.end(self.offset, "scored")
        return event_id

    @rule(event_id=st.one_of(ids, st.sampled_from("abcdefgh")), label=st.booleans())
    def a_label_comes(self, event_id: str, label: bool) -> None:
        self.offset += 1
        met, found = self.waiting.match(event_id, label, self.now_ms)
        self.labels[self.offset] = met
        if found is not None:
            self.waiting.resolve(event_id, label, self.now_ms)
            self.end(found.offset, "scored")
        elif met == "held":
            self.waiting.hold(event_id, early(label, self.offset), self.now_ms)

    @rule(by_ms=st.integers(1, 40))
    def time_passes(self, by_ms: int) -> None:
        self.now_ms += by_ms
        events, labels = self.waiting.expire(self.now_ms)
        for gone in events:
            self.end(gone.offset, "expired")
        for _, label in labels:
            assert self.labels[label.offset] == "held"
            self.labels[label.offset] = "orphan"
        assert len(self.waiting) <= 5
        assert all(self.now_ms - came_ms < self.ttl_ms for _, came_ms in self.open.values())

    @invariant()
    def what_waits_is_what_has_not_ended(self) -> None:
        assert sorted(e.offset for _, e in self.waiting.pending.values()) == sorted(self.open)
        held = [label.offset for _, label in self.waiting.held.values()]
        assert sorted(held) == sorted(o for o, became in self.labels.items() if became == "held")


EachEventEndsOnce.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
test_each_event_ends_exactly_once = EachEventEndsOnce.TestCase
