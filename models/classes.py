"""The classes that the models of a task have been taught: bounded, whatever the labels say."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

CLASSES_MAX = 1_000
"""How many classes there may be. A confusion matrix has their square."""

CLASSES_BYTES_MAX = 400_000
"""How many bytes the probabilities of all classes, of all models, may take in a prediction record."""

_NUMBER_BYTES = 27
"""A probability as JSON, with colon and comma."""


@dataclass(slots=True)
class Classes:
    """The known classes, in the order they were learned in.

    A model gives each class it knows a probability in each prediction. Labels without end (ids, free text) would grow
    every prediction until none could be put out.

    Examples
    --------
    >>> classes = Classes(models=2)
    >>> for i in range(CLASSES_MAX):
    ...     classes.add(f"class {i}")
    >>> classes.has_room_for("class 7"), classes.has_room_for("one more")
    (True, False)
    """

    models: int
    known: dict[str, int] = field(default_factory=dict)  # class -> bytes of its probability in a record

    def has_room_for(self, label: str) -> bool:
        """Whether the class is known, or can be."""
        if label in self.known:
            return True
        bytes_of_one = sum(self.known.values()) + _bytes(label)
        return len(self.known) < CLASSES_MAX and bytes_of_one * self.models <= CLASSES_BYTES_MAX

    def add(self, label: str) -> None:
        """Know this class from now on. The caller has asked ``has_room_for``."""
        if label not in self.known:
            self.known[label] = _bytes(label)


def _bytes(label: str) -> int:
    return len(json.dumps(label)) + _NUMBER_BYTES
