"""A Prometheus histogram that takes many values at once: prometheus-client's takes one, for what a batch may cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry


class BatchHistogram(Collector):
    """Counts values by bucket; a bucket holds what is at most its bound and above the bound before.

    Examples
    --------
    >>> registry = CollectorRegistry()
    >>> delays = BatchHistogram("delay_seconds", "How late.", {"pipeline": "flights"}, [1.0, 10.0], registry)
    >>> delays.observe_all([0.5, 1.0, 60.0])
    >>> [registry.get_sample_value("delay_seconds_bucket", {"pipeline": "flights", "le": le}) for le in ("1.0", "+Inf")]
    [2, 3]
    """

    def __init__(
        self, name: str, help: str, labels: dict[str, str], bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name, self._help, self._labels = name, help, labels
        self._bounds = np.array([*bounds, np.inf])
        self._counts, self._sum = np.zeros(len(self._bounds), np.int64), 0.0
        registry.register(self)

    def observe_all(self, values: Sequence[float]) -> None:
        """Add these."""
        places = np.searchsorted(self._bounds, values)
        self._counts = self._counts + np.bincount(places, minlength=len(self._bounds))  # whole, for who reads meanwhile
        self._sum += float(np.sum(values))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """What Prometheus is told."""
        family = HistogramMetricFamily(self._name, self._help, labels=list(self._labels))
        below = np.cumsum(self._counts).tolist()
        bounds = [*map(str, self._bounds.tolist()[:-1]), "+Inf"]
        family.add_metric(list(self._labels.values()), list(zip(bounds, below, strict=True)), self._sum)
        yield family
