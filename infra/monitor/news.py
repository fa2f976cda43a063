"""What has changed in which pipelines, for somebody who looks now and then: never more than one entry a pipeline."""

from __future__ import annotations

import asyncio


class News:
    """What was added since it was last taken.

    Examples
    --------
    >>> async def told() -> dict[str, list[str]]:
    ...     news = News()
    ...     for _ in range(1_000):
    ...         news.add("flights", "metrics")
    ...     news.add("flights", "drift")
    ...     return await news.taken(timeout_s=1)
    >>> asyncio.run(told())
    {'flights': ['drift', 'metrics']}
    """

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}
        self._some = asyncio.Event()

    def add(self, name: str, what: str) -> None:
        """This changed there."""
        self._names.setdefault(name, set()).add(what)
        self._some.set()

    async def taken(self, timeout_s: float) -> dict[str, list[str]]:
        """Wait for some and take them, sorted; none when time is up."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._some.wait()
        except TimeoutError:
            return {}
        names, self._names = self._names, {}
        self._some.clear()
        return {name: sorted(names[name]) for name in sorted(names)}
