"""Text from anywhere, made harmless for a terminal and a log."""

from __future__ import annotations


def one_line(text: str) -> str:
    r"""The text with what is not printable written out, so that it neither begins a line nor steers a terminal.

    >>> print(one_line("late\nERROR \x1b[31m é"))
    late\nERROR \x1b[31m é
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
