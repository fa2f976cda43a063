"""Each protection against a fault taken out of the workers: the fault's own test fails then, and for that reason.

python -m pytest tests/faults/test_plants.py                            all
python -m pytest tests/faults/test_plants.py -s -k state-not-replayed   one, with what the test says
"""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any, NamedTuple

import pytest

from streams.errors import PipelineError
from tests.faults import test_inputs as inputs
from tests.faults import test_kills as kills
from tests.faults import test_processes as processes
from tests.faults import test_storage as storage
from tests.faults.plants import PLANTS
from tests.faults.real import Real

pytestmark = pytest.mark.broker

BADLY_PLANTED = re.compile(r"(Name|Attribute|Type|Import|Unbound\w*)Error")


class Breaks(NamedTuple):
    """Which test fails with a plant, on which of its cases, and what it says. ``patience_s`` bounds each of its waits.

    Workers that are waited for to be missed by their group are missed soon: ``session_ms``.
    """

    plant: str
    test: Callable[..., None]
    says: str
    case: str = ""
    patience_s: float = 20.0
    session_ms: int = 10_000


OTHERS = r"\w+\[0\] are not those of an undisturbed run"
GOES_ON = "it has gone on"

killed = kills.test_a_worker_killed_there_leaves_no_trace
orphaned = kills.test_a_checkpoint_that_was_being_written_is_an_orphan_and_is_collected
stopped = processes.test_a_worker_that_was_stopped_is_fenced_when_it_wakes
harmed = storage.test_a_harmed_checkpoint_is_refused_and_the_one_before_is_used
too_large = inputs.test_what_is_too_large_to_read_or_to_put_out_is_rejected_by_its_coordinates

TABLE = [
    Breaks("outputs-after-the-commit", killed, OTHERS, "after commit 5"),
    Breaks("outputs-beside-the-transaction", killed, OTHERS, "before commit 5"),
    Breaks("offsets-beside-the-transaction", killed, "the group's offset of", "before commit 5"),
    Breaks("state-not-replayed", killed, OTHERS, "before commit 5"),
    Breaks("pointer-before-the-blob", orphaned, "what the journal names is whole", "before fsync 4"),
    Breaks("orphans-left", orphaned, "orphans are collected", "after put 3"),
    Breaks("replay-puts-out-again", kills.test_killed_while_it_recovers_twice, "nothing is put out while replaying"),
    Breaks(
        "broker-not-waited-for",
        processes.test_a_broker_that_is_killed_is_waited_for_and_nothing_acknowledged_is_lost,
        "worker 1 did not wait",
    ),
    Breaks("group-not-asked", stopped, "it has committed nothing", "before begin 6", session_ms=2_000),
    Breaks(
        "transactions-without-a-timeout", stopped, "not within", "before commit 6", patience_s=7.0, session_ms=2_000
    ),
    Breaks(
        "learning-in-the-transaction",
        processes.test_learning_slower_than_the_transaction_timeout_fails_no_transaction,
        "fenced by a newer instance",
    ),
    Breaks(
        "revoked-tasks-kept",
        processes.test_workers_from_1_to_4_to_1_under_load_with_a_quick_restart_that_moves_nothing,
        r"journal record \d+ does not follow|not within 8 s",  # the lag: two workers take back each other's offsets
        patience_s=8.0,
        session_ms=5_000,
    ),
    Breaks("uncommitted-records-read", inputs.test_aborted_records_and_bad_bytes_are_never_learned_from, OTHERS),
    Breaks(
        "blocked-inputs-not-watched",
        inputs.test_a_producer_that_leaves_a_transaction_open_raises_an_alarm,
        "not within",
        patience_s=4.0,
    ),
    Breaks("no-limit-of-size", too_large, "MSG_SIZE_TOO_LARGE"),
    Breaks("no-limit-of-outputs", too_large, "MSG_SIZE_TOO_LARGE"),
    Breaks(
        "span-without-limit", storage.test_a_full_disk_at_the_checkpoint_store_is_told_and_waited_for, "span is full"
    ),
    Breaks("blobs-not-verified", harmed, "ZSTD decompression failed", "flipped"),
    Breaks("no-checkpoint-before", harmed, "error: the blob is not what its name says", "cut"),
    Breaks("partitions-not-counted", inputs.test_partitions_that_were_added_stop_it, GOES_ON),
    Breaks(
        "topic-ids-not-compared",
        inputs.test_a_topic_deleted_and_made_anew_stops_it_even_with_more_records_than_before,
        GOES_ON,
    ),
    Breaks("lost-records-not-noticed", inputs.test_records_deleted_before_they_were_replayed_stop_it, GOES_ON),
    Breaks(
        "changed-code-not-refused",
        storage.test_code_that_changed_with_a_tail_to_replay_is_declined_and_the_earlier_one_goes_on,
        GOES_ON,
    ),
    Breaks(
        "attempts-forgotten",
        inputs.test_a_record_that_crashes_the_process_is_skipped_after_some_tries,
        "every worker has ended",
    ),
    Breaks("started-twice", processes.test_the_same_worker_started_twice_here_is_refused, GOES_ON),
    Breaks(
        "a-name-of-its-own",
        processes.test_the_same_worker_started_on_two_machines_takes_over_and_nothing_is_doubled,
        "timed out",
        patience_s=6.0,
    ),
]


@pytest.mark.parametrize("breaks", TABLE, ids=lambda breaks: breaks.plant)
def test_without_its_protection_the_test_of_a_fault_fails(
    real: Callable[..., Real], breaks: Breaks, tmp_path: Path
) -> None:
    environment = {
        "RIVERRUN_TEST_PLANT": breaks.plant,
        "RIVERRUN_TEST_SESSION_TIMEOUT_MS": str(breaks.session_ms),
    }

    def planted(**options: Any) -> Real:
        return real(environment=environment, patience_s=breaks.patience_s, **options)

    case = [breaks.case] if breaks.case else []
    more = {"tmp_path": tmp_path} if "tmp_path" in signature(breaks.test).parameters else {}
    with pytest.raises((AssertionError, PipelineError, TimeoutExpired), match=breaks.says) as failed:
        breaks.test(planted, *case, **more)
    said = str(failed.value)
    print(f"{breaks.plant}: {said}")
    assert not BADLY_PLANTED.search(said), "it is the plant that is broken"


def test_every_plant_breaks_a_test_says_what_is_missing_and_is_in_the_guarantees() -> None:
    guarantees = Path("docs/guarantees.md").read_text()
    assert {breaks.plant for breaks in TABLE} == PLANTS.keys()
    assert all(plant.__doc__ for plant in PLANTS.values())
    assert [name for name in PLANTS if f"`{name}`" not in guarantees] == []
