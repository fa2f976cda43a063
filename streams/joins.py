"""What an event is joined with: the reference row last observed before it, and rows of a table file."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import pyarrow
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet

from streams.errors import Declined
from streams.schema import E, Event, is_text
from streams.windows import KEYS_MAX

R = TypeVar("R", bound=Event)

HISTORY_MAX = 16
"""Reference rows kept per key, so that an event that is late by a few rows still finds the one of its own time."""

_ANY_TIME_MS = 2**62


@dataclass(slots=True)
class AsOfState(Generic[E]):
    """The newest reference rows per key, by event time.

    Examples
    --------
    >>> weather = AsOfState()
    >>> weather.put("JFK", 100, "rain"); weather.put("JFK", 200, "sun")
    >>> weather.at("JFK", 99), weather.at("JFK", 150), weather.at("JFK", 200), weather.at("LGA", 200)
    (None, 'rain', 'sun', None)
    """

    times: dict[Any, list[int]] = field(default_factory=dict)
    rows: dict[Any, list[E]] = field(default_factory=dict)

    def admits(self, key: Any) -> bool:
        """Whether there is room for this key. Raises TypeError for what can be none, such as a list."""
        return key in self.times or len(self.times) < KEYS_MAX

    def put(self, key: Any, time_ms: int, row: E, now_ms: int = _ANY_TIME_MS) -> None:
        """Keep a row. Of two rows of the same time the one that came later counts.

        Beyond ``HISTORY_MAX`` the oldest goes; or the one furthest ahead, where more than half lie ahead of ``now_ms``:
        rows of the year 9999 must not push out those of today.
        """
        times, rows = self.times.setdefault(key, []), self.rows.setdefault(key, [])
        place = bisect_right(times, time_ms)
        times.insert(place, time_ms)
        rows.insert(place, row)
        if len(times) > HISTORY_MAX:
            place = 0 if times[HISTORY_MAX // 2] <= now_ms else -1
            del times[place], rows[place]

    def at(self, key: Any, time_ms: int) -> E | None:
        """The row last observed at or before ``time_ms``, None if there is none (any more)."""
        times = self.times.get(key)
        if not times:
            return None
        if time_ms >= times[-1]:
            return self.rows[key][-1]
        place = bisect_right(times, time_ms)
        return self.rows[key][place - 1] if place else None


class Table(Generic[R]):
    """Rows of a Parquet or CSV file, looked up by one column. Read when the pipeline starts; part of its fingerprint.

    Parameters
    ----------
    path
        The file, ``.parquet`` or ``.csv``. Relative paths start where the process does: build them from ``__file__``.
    type
        The rows' type. Columns that it does not name are left out.
    key
        The column to look up by, unique in the file.
    missing
        How a CSV file writes that a value is missing, besides leaving it out.
    """

    def __init__(self, path: str | Path, type: type[R], key: str, missing: Sequence[str] = ()) -> None:
        self.path, self.type, self.key, self.missing = Path(path), type, key, missing
        self._rows: dict[Any, R] | None = None

    def load(self) -> None:
        """Read the file, once. Raises Declined when it is missing, has another shape, or repeats a key."""
        if self._rows is not None:
            return
        try:
            rows = msgspec.convert(self._read(), list[self.type], strict=False)  # type: ignore[name-defined]
        except (OSError, pyarrow.ArrowException) as error:
            raise self._unreadable(error) from error
        except msgspec.ValidationError as error:
            raise Declined(
                f"the table does not fit {self.type.__name__}: {error}", where=str(self.path), remedy="mend either"
            ) from error
        self._rows = {getattr(row, self.key): row for row in rows}
        if len(self._rows) != len(rows):
            raise Declined(f"{self.key} is not unique", where=str(self.path), remedy="drop the duplicate rows")

    def _read(self) -> list[dict[str, Any]]:
        if self.path.suffix != ".csv":
            return list(arrow_parquet.read_table(self.path).to_pylist())
        texts = [field.encode_name for field in msgspec.structs.fields(self.type) if is_text(field.type)]
        options = arrow_csv.ConvertOptions(
            null_values=["", *self.missing],
            strings_can_be_null=True,
            column_types=dict.fromkeys(texts, pyarrow.string()),  # else "00501" would be the number 501
        )
        return list(arrow_csv.read_csv(self.path, convert_options=options).to_pylist())

    def get(self, key: Any) -> R | None:
        """The row of this key, or None."""
        assert self._rows is not None, "the pipeline loads its tables before the first event"
        return self._rows.get(key)

    def digest(self) -> str:
        """SHA-256 of the file, in hex."""
        try:
            return hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> Declined:
        what = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        return Declined(f"the table's file {what}", where=str(self.path), remedy="make it, or mend the path")
