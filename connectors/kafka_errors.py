"""Every error of both Kafka clients, as the error our loops act on (streams/errors.py). The seam nothing slips through.

The broker's codes are the same numbers in both clients; librdkafka's own are negative; kafka-python's own have names.
A code no table names is an OutcomeUnknown: rebuilding from the journal is right whatever happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from streams.errors import BrokerUnreachable, Declined, Fenced, OutcomeUnknown, PipelineError

# Another process has our place in the group, or our transactional id.
FENCED = {22, 25, 47, 52, 82, 90, 110, 111, 113} | {-150, -147, -144, -142}

# No answer, no leader, no coordinator, not yet: the same call again may succeed.
RETRY = (
    {5, 6, 7, 8, 9, 11, 13, 14, 15, 16, 19, 20, 41, 51, 55, 56, 60, 70, 71, 72, 74, 75, 77, 78, 79, 80}
    | {83, 84, 88, 89, 106, 108, 122, 123, 129, 133}
    | {-196, -195, -193, -187, -185, -184, -183, -182, -180, -178, -177, -166, -164, -163, -156, -153, -146, -141, -137}
)

# It was asked of the wrong cluster, without the right, of something that is not there, or in a way it cannot do.
AUTHENTICATION = {33, 34, 54, 58, 61, 62, 63, 64, 66, 67, 93, 97} | {-181, -169}
AUTHORIZATION = {29, 30, 31, 53, 65}
UNKNOWN_TOPIC = {3, 17, 100, 103} | {-190, -188}
OFFSET_GONE = {1, 109} | {-168, -140, -139}
TOO_LARGE = {10, 18}
OTHER_DECLINED = (
    {4, 12, 21, 23, 24, 26, 28, 32, 35, 36, 37, 38, 39, 40, 42, 43, 44, 50, 57, 68, 69, 73, 76, 81, 85, 86, 87, 91, 92}
    | {94, 95, 96, 98, 99, 101, 102, 104, 105, 107, 112, 114, 115, 116, 117, 118, 119, 121, 124, 125, 126, 127, 128}
    | {130, 131, 132}
    | {-199, -198, -194, -189, -186, -179, -176, -173, -171, -170, -167, -165, -162, -161, -160, -159, -158}
    | {-157, -155, -154, -145, -143, -138}
)
DECLINED = AUTHENTICATION | AUTHORIZATION | UNKNOWN_TOPIC | OFFSET_GONE | TOO_LARGE | OTHER_DECLINED

# A transaction must be given up, or nobody knows what became of it.
UNKNOWN = {-1, 2, 27, 45, 46, 48, 49, 59, 120} | {-197, -192, -172, -152, -151, -149, -148}

# librdkafka's events that are no errors, and success.
EVENTS = {0, -191, -175, -174}

# kafka-python's errors that carry no code and are not marked retriable.
NAMED: dict[str, type[PipelineError]] = {
    "CommitFailedError": Fenced,
    "IllegalArgumentError": Declined,
    "IllegalStateError": Declined,
    "InvalidReceiveError": BrokerUnreachable,
    "KafkaConfigurationError": Declined,
    "KafkaProtocolError": BrokerUnreachable,
    "LogTruncationError": Declined,
    "NoOffsetForPartitionError": Declined,
    "QuotaViolationError": BrokerUnreachable,
    "TransactionAbortedError": OutcomeUnknown,
    "UnknownBrokerIdError": BrokerUnreachable,
    "UnrecognizedBrokerVersion": Declined,
    "UnsupportedCodecError": Declined,
}

_CREDENTIALS = "check RIVERRUN_SECURITY_PROTOCOL, RIVERRUN_SASL_… and RIVERRUN_SSL_…"
_REMEDY_BY_CODE = [
    (AUTHENTICATION, _CREDENTIALS),
    (AUTHORIZATION, "ask the cluster's administrator for this right, or check RIVERRUN_SASL_USERNAME"),
    (UNKNOWN_TOPIC, "`riverrun topics apply FILE` creates a pipeline's topics; if one was deleted, restore it"),
    (OFFSET_GONE, "the topic's retention passed this offset: restore the data, or start the pipeline under a new name"),
    (TOO_LARGE, "raise the topic's max.message.bytes, or make the record smaller"),
]
_REMEDY_BY_TYPE: dict[type[PipelineError], str] = {
    BrokerUnreachable: "check that the broker runs and can be reached; riverrun tries again",
    Declined: "mend the configuration or the request",
    Fenced: "none is needed: another process has the work; start this one again if that one ended",
    OutcomeUnknown: "none is needed: state is rebuilt from the journal",
}


def of_code(code: int) -> type[PipelineError]:
    """The error for a code of the broker or of librdkafka, when the client marked it neither fatal nor retriable.

    Examples
    --------
    >>> of_code(90).__name__, of_code(15).__name__, of_code(3).__name__, of_code(9_999).__name__
    ('Fenced', 'BrokerUnreachable', 'Declined', 'OutcomeUnknown')
    """
    table = ((FENCED, Fenced), (RETRY, BrokerUnreachable), (DECLINED, Declined))
    return next((kind for codes, kind in table if code in codes), OutcomeUnknown)


def translate(error: Any, where: str) -> PipelineError:
    """Our error for one of a Kafka client: a ``KafkaError`` or exception of confluent-kafka, or one of kafka-python.

    ``where`` names the topic, partition or call, so that the message tells what was tried.
    """
    error = _own(error)
    inner = error.args[0] if type(error).__name__ == "KafkaException" and error.args else error
    if hasattr(inner, "txn_requires_abort"):
        return _of_librdkafka(inner, where)
    return _of_kafka_python(inner, where)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise whatever either client raises in the block as our error, with the client's error as its cause."""
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        if not _is_of_a_client(_own(error)):
            raise
        raise translate(error, where) from error


class Refusal:
    """An ``error_cb`` for clients of confluent-kafka: whether the cluster has refused our credentials.

    Of that a client says nothing but here: it goes on trying, and its calls end when their time is up.
    """

    def __init__(self) -> None:
        self._seen: PipelineError | None = None

    def __call__(self, error: Any) -> None:
        """The client tells of an error."""
        if error.code() in AUTHENTICATION:
            self._seen = translate(error, "Kafka")

    def raise_it(self) -> None:
        """Raise Declined if it has."""
        if self._seen is not None:
            raise self._seen


def _of_librdkafka(error: Any, where: str) -> PipelineError:
    code: int = error.code()
    if error.fatal() or code in FENCED:
        kind: type[PipelineError] = Fenced
    elif error.retriable():
        kind = BrokerUnreachable
    elif error.txn_requires_abort():
        kind = OutcomeUnknown
    else:
        kind = of_code(code)
    return _make(kind, code, f"Kafka: {error.str()} [{error.name()}]", where)


def _of_kafka_python(error: BaseException, where: str) -> PipelineError:
    code = getattr(error, "errno", None)
    name = type(error).__name__
    text = f"Kafka: {error}" if str(error).startswith((name, "[Error")) else f"Kafka: {name}: {error}"
    if isinstance(code, int) and not isinstance(error, OSError):
        return _make(of_code(code), code, text, where)
    kind = BrokerUnreachable if getattr(error, "retriable", False) else NAMED.get(name, OutcomeUnknown)
    if "Unable to bootstrap" in text:  # it does not tell a broker that is away from one that refuses a password
        return kind(text, where=where, remedy=f"{_REMEDY_BY_TYPE[BrokerUnreachable]}; {_CREDENTIALS}")
    return _make(kind, None, text, where)


def _make(kind: type[PipelineError], code: int | None, what: str, where: str) -> PipelineError:
    by_code = (remedy for codes, remedy in _REMEDY_BY_CODE if code in codes)
    return kind(what, where=where, remedy=next(by_code, _REMEDY_BY_TYPE[kind]))


def _own(error: Any) -> Any:
    """The client's error itself. After a fatal one confluent-kafka goes on calling back with its exception set already:
    what it calls then, be it the log, ends with a SystemError of Python's, and that exception is its cause.
    """
    return error.__cause__ if isinstance(error, SystemError) and error.__cause__ is not None else error


def _is_of_a_client(error: BaseException) -> bool:
    return any(base.__module__.startswith(("cimpl", "confluent_kafka", "kafka.")) for base in type(error).__mro__)
