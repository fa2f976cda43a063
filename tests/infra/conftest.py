"""The same pipelines as those of the faults, on the shared broker."""

from tests.faults.conftest import real

__all__ = ["real"]
