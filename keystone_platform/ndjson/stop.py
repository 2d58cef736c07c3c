"""Ctrl-C and SIGTERM as a wish that is looked at between two events, so that none is cut in half."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType


class Stop:
    """Use it as a context, in the main thread. A second signal raises KeyboardInterrupt at once.

    Attributes:
        asked: whether somebody wants the run to end.
        may_wait: set while the caller may be waiting for input: then the first signal raises KeyboardInterrupt too.
    """

    def __init__(self) -> None:
        self.asked = False
        self.may_wait = False

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        again, self.asked = self.asked, True
        if again or self.may_wait:
            raise KeyboardInterrupt

    def __enter__(self) -> Stop:
        self._before = {each: signal.signal(each, self._ask) for each in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)
