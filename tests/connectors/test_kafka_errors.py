"""Every error code of both clients has its place in our tables: a client's new one fails here, not in production."""

from __future__ import annotations

import inspect
import logging

import kafka.errors
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from connectors.kafka_errors import (
    AUTHENTICATION,
    AUTHORIZATION,
    DECLINED,
    EVENTS,
    FENCED,
    NAMED,
    OFFSET_GONE,
    OTHER_DECLINED,
    RETRY,
    TOO_LARGE,
    UNKNOWN,
    UNKNOWN_TOPIC,
    translate,
    translated,
)
from streams.errors import BrokerUnreachable, Declined, Fenced, OutcomeUnknown

LIBRDKAFKA = {
    name: code
    for name, code in inspect.getmembers(KafkaError, lambda value: isinstance(value, int))
    if not name.startswith("__")
}
KAFKA_PYTHON = {
    name: kind
    for name, kind in inspect.getmembers(kafka.errors, inspect.isclass)
    if issubclass(kind, kafka.errors.KafkaError)
}
ABSTRACT = {"KafkaError", "BrokerResponseError", "AuthorizationError"}


def test_no_code_has_two_places():
    places = [FENCED, RETRY, AUTHENTICATION, AUTHORIZATION, UNKNOWN_TOPIC, OFFSET_GONE, TOO_LARGE, OTHER_DECLINED]
    places += [UNKNOWN, EVENTS]
    assert sum(map(len, places)) == len(set().union(*places))


@pytest.mark.parametrize("name", LIBRDKAFKA)
def test_every_code_of_confluent_kafka_has_a_place(name: str):
    code = LIBRDKAFKA[name]
    assert code in FENCED | RETRY | DECLINED | UNKNOWN | EVENTS
    expected = Fenced if code in FENCED else BrokerUnreachable if code in RETRY else None
    expected = expected or (Declined if code in DECLINED else OutcomeUnknown)
    error = translate(KafkaException(KafkaError(code)), "flights[0]")
    assert type(error) is expected
    assert error.what
    assert error.where == "flights[0]"
    assert error.remedy


@pytest.mark.parametrize("name", sorted(KAFKA_PYTHON.keys() - ABSTRACT))
def test_every_error_of_kafka_python_has_a_place(name: str):
    kind = KAFKA_PYTHON[name]
    error = kind({}) if name == "LogTruncationError" else kind("why")
    code = getattr(kind, "errno", None)
    assert kind.retriable or name in NAMED or code in FENCED | RETRY | DECLINED | UNKNOWN | EVENTS
    ours = translate(error, "flights[0]")
    if code is not None and code not in EVENTS:
        assert type(ours) is type(translate(KafkaError(code), "")), "both clients agree on the broker's codes"
    assert "why" in ours.what or name == "LogTruncationError"
    assert ours.remedy


@pytest.mark.parametrize(
    ("fatal", "retriable", "requires_abort", "expected"),
    [
        (True, False, False, Fenced),
        (False, True, False, BrokerUnreachable),
        (False, False, True, OutcomeUnknown),
    ],
)
def test_the_clients_marks_come_before_the_code(fatal: bool, retriable: bool, requires_abort: bool, expected: type):
    error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "no", fatal, retriable, requires_abort)
    assert type(translate(error, "")) is expected


def test_a_code_of_a_future_client_rebuilds():
    assert type(translate(KafkaError(KafkaError._FENCED - 10_000), "")) is OutcomeUnknown


def test_the_clients_error_is_the_cause():
    with pytest.raises(Declined, match="No such configuration property") as caught, translated("consumer"):
        Consumer({"group.id": "x", "no.such": 1})
    assert isinstance(caught.value.__cause__, KafkaException)
    with pytest.raises(ZeroDivisionError), translated("ours"):
        _ = 1 / 0


def test_an_unreachable_broker_is_retriable():
    quiet = logging.Logger("quiet", level=logging.CRITICAL + 1)
    with pytest.raises(BrokerUnreachable) as caught, translated("127.0.0.1:1"):
        Producer({"bootstrap.servers": "127.0.0.1:1"}, logger=quiet).list_topics(timeout=0.1)
    assert caught.value.retriable


def test_a_fatal_error_that_the_log_was_called_back_with_is_told_as_itself():
    fenced = KafkaException(KafkaError(KafkaError._FENCED, "another one has our id", fatal=True))
    with pytest.raises(Fenced, match="another one has our id"), translated("flush"):
        raise SystemError("<built-in function isinstance> returned a result with an exception set") from fenced
    with pytest.raises(SystemError), translated("flush"):
        raise SystemError("of something else") from ValueError()
