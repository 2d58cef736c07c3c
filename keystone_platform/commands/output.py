"""Where commands print their tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 200
"""Columns of a table that is not shown on a terminal: a pipe has no width of its own, and rows should not break."""


def stdout_console() -> Console:
    """Return stdout's console, of the terminal's width or PIPE_WIDTH."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def table(*columns: str) -> Table:
    """Return a table whose free text wraps and whose names and ids never do."""
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=name not in FREE_TEXT, overflow="fold")
    return table


FREE_TEXT = ("action", "now", "progress", "what differs", "what to know")
"""Columns that wrap."""
