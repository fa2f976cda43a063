"""Errors, named by what the loop or the person does next.

PipelineError
├── Declined          stop: the declaration or a setting is wrong; nothing has run   (a person mends it)
├── RecordRejected    set aside: one record goes to the rejects topic, the loop goes on
├── BrokerUnreachable retry: the same call again, within a deadline
├── Fenced            rejoin: another worker owns the task now; this one exits
├── OutcomeUnknown    rebuild: drop the tasks' state, read the journal, replay
├── CheckpointCorrupt fall back: the checkpoint before is used
│   └── CheckpointOutdated   stop, if they all are: another version of riverrun wrote them
├── StoreUnavailable  go on, and try again: the checkpoint store cannot be written or read now
├── ModelFailed       skip: rebuild the task, step over the batch again without the record a model raised on
└── JournalMismatch   stop: replay did not reproduce what was committed
"""

from __future__ import annotations


class PipelineError(Exception):
    """What went wrong, where, and the remedy.

    Parameters
    ----------
    what
        One sentence that names the value at fault.
    where
        Coordinates: a file, a field, or ``topic[partition]@offset``.
    remedy
        What to do, with the command where there is one.

    Examples
    --------
    >>> print(PipelineError("no topic 'flights'", where="127.0.0.1:9092", remedy="`riverrun topics apply FILE`"))
    no topic 'flights' (127.0.0.1:9092). Remedy: `riverrun topics apply FILE`
    """

    retriable = False

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.remedy = what, where, remedy

    def __str__(self) -> str:
        text = f"{self.what} ({self.where})" if self.where else self.what
        return f"{text}. Remedy: {self.remedy}" if self.remedy else text


class Declined(PipelineError):
    """The declaration, a setting or a file given to us is wrong. Stop before anything runs."""


class RecordRejected(PipelineError):
    """One record cannot be used. It goes to the rejects topic; the loop goes on.

    ``reason`` is the short word that metrics count by, ``field`` the part of the record at fault.
    """

    def __init__(self, what: str, *, reason: str, field: str = "", where: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.reason, self.field = reason, field


class BrokerUnreachable(PipelineError):
    """The broker does not answer, or asks to try again."""

    retriable = True


class Fenced(PipelineError):
    """Another worker owns the tasks now. Exit; the supervisor starts a worker that rejoins."""


class OutcomeUnknown(PipelineError):
    """A transaction failed or its answer was not seen. Drop the tasks' state and rebuild it from the journal."""


class CheckpointCorrupt(PipelineError):
    """A checkpoint blob is missing, truncated, or not signed with our key. Nothing was unpickled."""


class CheckpointOutdated(CheckpointCorrupt):
    """A checkpoint of another layout: another version of riverrun wrote it. Nothing was unpickled."""


class StoreUnavailable(PipelineError):
    """The checkpoint store cannot be written or read: a full disk, no network, no right."""

    retriable = True


class ModelFailed(PipelineError):
    """A model raised while it predicted or learned, or predicted no number. It may be half-updated: drop its state.

    ``record`` is (index of the input, offset) of the record it was given.
    """

    record: tuple[int, int] | None = None
    reason = "model_failed"


class VersionUnavailable(ModelFailed):
    """A model is to go back to a version whose bytes are lost; the cause says how."""

    reason = "version_unavailable"


class JournalMismatch(PipelineError):
    """Replay or positions disagree with the journal. Stop: going on would break the promise."""
