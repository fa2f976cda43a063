"""``python -m infra.cli`` is ``riverrun``: how child processes are started, whatever is on the PATH."""

from infra.cli import main

main()
