"""One undisturbed run that all others are compared with, and a broker for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.broker import embedded_broker
from tests.end_to_end.flying import BrokerOf, Flown, fly


@pytest.fixture(scope="session")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> BrokerOf:
    """A broker for one run alone, by name: the example's topics have fixed names."""
    return lambda name: embedded_broker(tmp_path_factory.mktemp(f"broker-{name}"), port=0)


@pytest.fixture(scope="session")
def undisturbed(own_broker: BrokerOf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flown]:
    """The run that all others are compared with."""
    with own_broker("undisturbed") as servers:
        yield fly(servers, tmp_path_factory.mktemp("undisturbed"), workers=2)
