"""Each peer predicts all events, in an environment of its own, on the very stream that riverrun is given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from subprocess import CalledProcessError, TimeoutExpired

import pytest

from benchmarks import peers
from benchmarks.cluster import Cluster, cluster
from benchmarks.contenders import CONTENDERS
from benchmarks.sections import saturation
from benchmarks.workload import workload_of

PEERS = {name: each.peer for name, each in CONTENDERS.items() if each.peer}
EVENTS = 3_000


@pytest.fixture(scope="module")
def filled() -> Iterator[Cluster]:
    """A broker with a short stream."""
    workload = workload_of("logistic-3")
    with cluster() as made:
        made.create(workload.topics)
        made.fill(workload.rows(EVENTS + saturation.MORE))
        yield made


@pytest.mark.broker
@pytest.mark.timeout(600)
@pytest.mark.parametrize("contender", PEERS)
def test_a_peer_predicts_all_events(filled: Cluster, contender: str) -> None:
    try:
        peers.python_of(PEERS[contender])
    except (CalledProcessError, TimeoutExpired) as error:
        pytest.skip(f"{contender} cannot be installed here: {error}")
    found = saturation.once(filled, contender, workload_of("logistic-3"), EVENTS)
    assert found["all"]
    assert found["events"] > 0


@pytest.mark.parametrize("peer", sorted(set(PEERS.values())))
def test_everything_is_locked_with_hashes_and_names_no_index(peer: str) -> None:
    lock = (peers.HERE / f"{peer}.lock").read_text()
    packages = re.findall(r"^\S+==", lock, re.MULTILINE)
    assert packages
    assert len(re.findall(r"==.*\\\n\s+--hash=sha256:", lock)) == len(packages)
    assert not re.search(r"https?://|index-url", lock)
    assert peers.versions_of(peer)
