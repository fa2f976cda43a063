"""``riverrun top``: what the monitor knows, live in the terminal."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

from infra.cli.status import Url, shown

KEYS_S = 0.2
"""How often a pressed key is looked for."""


def top(url: Url = "http://127.0.0.1:8642") -> None:
    """Show all pipelines of the monitor, refreshed as they change. Ends with q or Ctrl-C."""
    from rich.console import Console
    from rich.live import Live

    from infra.monitor.client import Client
    from infra.settings import Settings
    from infra.stopping import StopSignal
    from streams.errors import PipelineError

    client, stop, failed = Client(url, Settings.load()), StopSignal(), list[PipelineError]()
    console = Console()

    def draw() -> None:
        now = shown([client.overview(name) for name in client.pipelines()])
        if console.is_terminal:
            live.update(now, refresh=True)
        else:
            console.print(now)

    def follow() -> None:
        try:
            for _ in client.changes():
                draw()
        except PipelineError as error:
            failed.append(error)

    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live, _keys():
        draw()
        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        while not stop() and follower.is_alive() and _pressed() != "q":
            pass
    if failed:
        raise failed[0]


@contextlib.contextmanager
def _keys() -> Iterator[None]:
    """Keys come at once and are not shown, where there is a keyboard."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _pressed() -> str:
    """The key that was pressed within a moment; "" for none."""
    import select
    import time

    if not sys.stdin.isatty():
        time.sleep(KEYS_S)
        return ""
    ready, _, _ = select.select([sys.stdin], [], [], KEYS_S)
    return sys.stdin.read(1) if ready else ""
