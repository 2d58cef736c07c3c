"""Tells a service what goes wrong with its events, without a word for each of them."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

LOGGER = logging.getLogger("keystone.producer")
"""Where problems go; a service that sets no handler hears nothing."""
LOGGER.addHandler(logging.NullHandler())

QUIET_S = 60.0
"""A problem of one kind and stream is told once in so many seconds."""


class _Sparing(logging.Filter):
    """Lets a client say one kind of thing once in QUIET_S: librdkafka repeats itself with each attempt to connect."""

    def __init__(self) -> None:
        super().__init__()
        self._told_at: dict[tuple[object, ...], float] = {}
        self._since: dict[tuple[object, ...], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        facility_and_client = record.args[:2] if isinstance(record.args, tuple) else ()
        times = self._since.get(facility_and_client, 0) + 1
        is_quiet = time.monotonic() - self._told_at.get(facility_and_client, -QUIET_S) < QUIET_S
        self._since[facility_and_client] = times if is_quiet else 0
        if not is_quiet:
            self._told_at[facility_and_client] = time.monotonic()
            record.msg = f"{record.msg} ({times} since last told)" if times > 1 else record.msg
        return not is_quiet


CLIENT_LOGGER = LOGGER.getChild("librdkafka")
"""Where librdkafka's own messages go, and from there to LOGGER's handlers."""
CLIENT_LOGGER.addFilter(_Sparing())


@dataclass(frozen=True)
class Problem:
    """Something that went wrong since it was last told.

    Attributes:
        kind: a DropReason's value, or one of `unreachable`, `dns`, `tls`, `sasl`, `kafka`, `clock_behind`,
            `clock_ahead`, `hook_failed`, `audit`, `lost_at_exit`, `switched`, `no_cluster`, `no_standby`, `no_topic`,
            `order`.
        stream: which stream's events; empty where it is no stream's.
        cluster: which cluster; empty where it is no cluster's.
        events: how many times since it was last told, this one included.
        text: the newest one for people; it names no payload.
    """

    kind: str
    stream: str
    cluster: str
    events: int
    text: str


Hook = Callable[[Problem], None]

T = TypeVar("T")


def call_hook(hook: Callable[[T], object], argument: T, failed: Callable[[str], None]) -> None:
    """Call what the service gave; what it raises is told to `failed` and goes no further.

    That goes for what asyncio or an exit raises too: else the thread that serves all reports would end with it. Ctrl-C
    is the main thread's and goes on.
    """
    try:
        hook(argument)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise
        failed(f"raised {traceback.format_exception_only(error)[-1].strip()}")


class Reporter:
    """Tells problems to the log and to a hook, each kind of each stream and cluster once a minute.

    A hook that raises is logged and changes nothing. Not exact under threads: two of them may tell the same minute's.
    """

    def __init__(self, hook: Hook | None) -> None:
        self._hook = hook
        self._told_at: dict[tuple[str, str, str], float] = {}
        self._since: dict[tuple[str, str, str], int] = {}

    def tell(self, kind: str, text: str, stream: str = "", cluster: str = "") -> None:
        """Take note of a problem, and tell it unless its like was told within the minute."""
        key = (kind, stream, cluster)
        events = self._since.get(key, 0) + 1
        now = time.monotonic()
        if now - self._told_at.get(key, -QUIET_S) < QUIET_S:
            self._since[key] = events
            return
        self._told_at[key] = now
        self._since[key] = 0
        problem = Problem(kind, stream, cluster, events, text)
        where = " ".join(part for part in (stream, f"on {cluster}" if cluster else "") if part)
        LOGGER.warning("%s%s: %s (%d since last told)", kind, f" {where}" if where else "", text, events)
        if self._hook:
            call_hook(self._hook, problem, lambda text: LOGGER.error("on_problem %s", text))
