"""Fixtures that several folders of tests share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from infra.broker import embedded_broker

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")  # a busy machine is no finding


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of one embedded broker for the whole run."""
    folder: Path = tmp_path_factory.mktemp("broker")
    with embedded_broker(folder, port=0) as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture
def fresh_name() -> str:
    """A name no other test uses: for topics, groups and transactional ids on the shared broker."""
    return f"test-{uuid.uuid4().hex[:12]}"
