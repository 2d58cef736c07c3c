"""What a producer has to do when its process ends or forks."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Protocol


class Living(Protocol):
    """A producer that is open."""

    def at_exit(self) -> None:
        """Flush within a bound, count and tell what is lost."""
        ...

    def after_fork_in_child(self) -> None:
        """Leave the parent's clients and events to the parent, and begin anew."""
        ...


_OPEN: dict[int, Living] = {}
_state = {"is_hooked": False, "finalizes": 0}
"""`finalizes`: id of the process that `multiprocessing` ends producers in."""


def register(producer: Living) -> None:
    """Call the producer when this process ends, and in a child when it forks. Keeps it alive until `unregister`."""
    if not _state["is_hooked"]:
        _state["is_hooked"] = True
        atexit.register(_at_exit)
        os.register_at_fork(after_in_child=_after_fork_in_child)
    _OPEN[id(producer)] = producer


def unregister(producer: Living) -> None:
    """Forget a producer that was closed."""
    _OPEN.pop(id(producer), None)


def end_with_multiprocessing() -> None:
    """See to it that a child of `multiprocessing`, which skips atexit, ends its producers too. Harmless to repeat."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _state["finalizes"] != os.getpid():
        _state["finalizes"] = os.getpid()
        util.Finalize(None, _at_exit, exitpriority=10)


def _at_exit() -> None:
    for producer in list(_OPEN.values()):
        producer.at_exit()


def _after_fork_in_child() -> None:
    for producer in list(_OPEN.values()):
        producer.after_fork_in_child()
