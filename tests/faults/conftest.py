"""A pipeline of one's own for each test, on the shared broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.real import Real


@pytest.fixture
def real(broker: str, fresh_name: str, tmp_path: Path) -> Iterator[Callable[..., Real]]:
    made: list[Real] = []

    def make(**options: Any) -> Real:
        made.append(Real(options.pop("servers", broker), tmp_path, f"{fresh_name}-{len(made)}", **options))
        return made[-1]

    yield make
    for each in made:
        each.stop()
