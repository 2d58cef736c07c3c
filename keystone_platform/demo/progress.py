"""Shows how a run goes: one line that renews itself on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from keystone_platform.gateways.clock import Clock

PLAIN_EVERY_S = 5.0
"""Seconds between two lines where nobody watches."""


class Progress:
    """A renewed line; the last one stays. Use it as a context."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._last = ""
        self._shown = ""
        self._shown_at = 0.0

    def show(self, line: str) -> None:
        """Show the line instead of the one before it."""
        self._last = line
        if self._live:
            self._live.update(Text(line), refresh=True)
        elif self._clock.now().timestamp() - self._shown_at >= PLAIN_EVERY_S:
            self._print()

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
        elif self._last != self._shown:
            self._print()

    def _print(self) -> None:
        self._shown, self._shown_at = self._last, self._clock.now().timestamp()
        self._console.print(self._last, markup=False, highlight=False, soft_wrap=True)
