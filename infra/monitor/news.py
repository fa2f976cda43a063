"""Which pipelines have changed, for somebody who looks now and then: never more than one entry a pipeline."""

from __future__ import annotations

import asyncio


class News:
    """Names that were added since they were last taken.

    Examples
    --------
    >>> async def told() -> list[str]:
    ...     news = News()
    ...     for _ in range(1_000):
    ...         news.add("flights")
    ...     return await news.taken(timeout_s=1)
    >>> asyncio.run(told())
    ['flights']
    """

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._some = asyncio.Event()

    def add(self, name: str) -> None:
        """Something changed there."""
        self._names.add(name)
        self._some.set()

    async def taken(self, timeout_s: float) -> list[str]:
        """Wait for some and take them, sorted; none when time is up."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._some.wait()
        except TimeoutError:
            return []
        names, self._names = sorted(self._names), set()
        self._some.clear()
        return names
