"""The lead on a real broker: one has it while it lives, and nobody thinks that it has it still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from connectors.kafka_admin import create_topics
from connectors.kafka_lead import SESSION_S, KafkaLead
from streams.errors import Fenced

pytestmark = pytest.mark.broker

Claim = Callable[..., KafkaLead]


def until(condition: Callable[[], Any], deadline_s: float = 40.0) -> None:
    Retrying(stop=stop_after_delay(deadline_s), wait=wait_fixed(0.05), retry=retry_if_result(lambda met: not met))(
        condition
    )


@pytest.fixture
def claim(broker: str) -> Iterator[Claim]:
    topic = f"lead-{uuid4().hex[:8]}"
    create_topics({"bootstrap_servers": broker}, {topic: 1}, 60_000, {})
    with ExitStack() as closing:

        def make(name: str, **more: Any) -> KafkaLead:
            lead = KafkaLead({"bootstrap.servers": broker}, topic, f"{topic}-group", name, **more)
            closing.callback(lead.close)
            lead.claim()
            return lead

        yield make


def one_and_the_next(claim: Claim) -> tuple[KafkaLead, KafkaLead]:
    """Who has it, and who stands by."""
    first = claim("1")
    until(lambda: first.held)
    second = claim("2")
    until(lambda: second.joined)
    return first, second


def test_a_claim_that_ends_unexpectedly_is_lost_and_says_why(claim: Claim) -> None:
    times = [0.0]
    lead = claim("1", clock=times.pop)  # there is no second one
    until(lambda: lead.lost)
    assert "the claim to the lead ended" in str(lead.failure)
    assert not lead.held


def test_one_has_it_and_keeps_it_when_others_come(claim: Claim) -> None:
    first = claim("1")
    until(lambda: first.held)
    others = [claim("2"), claim("0")]
    until(lambda: all(each.joined for each in others))
    assert first.held
    assert not any(each.held or each.lost for each in others)


def test_another_one_gets_it_when_the_session_has_ended(claim: Claim) -> None:
    first, second = one_and_the_next(claim)
    first.close()
    until(lambda: second.held)
    assert not second.lost


def test_who_comes_back_with_its_name_has_it_at_once(claim: Claim) -> None:
    first, second = one_and_the_next(claim)
    first.close()
    again = claim("1")
    until(lambda: again.held, SESSION_S / 2)
    assert not second.held


def test_of_two_with_one_name_the_later_has_it_and_the_other_says_why_not(claim: Claim) -> None:
    first = claim("1")
    until(lambda: first.held)
    second = claim("1")
    until(lambda: second.held)
    until(lambda: first.lost)
    assert not first.held
    until(lambda: isinstance(first.failure, Fenced))


def test_who_was_held_up_has_lost_it_for_good(claim: Claim) -> None:
    now_s = [0.0]
    lead = claim("1", clock=lambda: now_s[0])
    until(lambda: lead.held)
    now_s[0] += SESSION_S
    assert lead.lost
    assert not lead.held
    now_s[0] -= SESSION_S
    assert not lead.held
