"""Keeps two `keystone up` or `down` of one home apart."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from keystone_platform.errors import Conflict
from keystone_platform.stack.home import Home


@contextmanager
def exclusive(home: Home) -> Iterator[None]:
    """Hold the home for one command; the kernel lets go when the process ends, however it ends.

    Raises:
        Conflict: another command holds it.
    """
    home.run.mkdir(parents=True, exist_ok=True)
    with (home.run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"another `keystone up` or `down` is at work on {home.folder}"
            raise Conflict(message, mend="Wait until it has ended.") from error
        yield
