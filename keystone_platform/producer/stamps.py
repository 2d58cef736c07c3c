"""What each event of one millisecond has in common, made once: the beginning of its guid, its time as text.

UUIDv7 (which Python 3.11's uuid module does not make yet) and RFC 3339 cost more than all else that `send` does when
they are written anew for each event.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from secrets import randbits

from keystone_platform import envelope
from keystone_platform.producer.lanes import Lanes

HOUR_MS = 3_600_000

_COUNTERS = [f"{number:03x}-" for number in range(1 << 12)]
"""The counter of a guid as text, with the dash behind it."""


class Stamp:
    """One millisecond.

    Attributes:
        millis: Unix time.
        hour: the hour that it is in, counted from 1970.
        head: the beginning of the guids, up to the counter.
        counters: hands out each counter once; handing out is one call into C, so threads share it without a lock.
        tail: the end of the guids.
        time: the header with the event's time.
        lanes: of the hour, as far as they were made; none unless the engine says so.
    """

    __slots__ = ("counters", "head", "hour", "lanes", "millis", "tail", "time")

    def __init__(self, millis: int, guid_millis: int, bits: int) -> None:
        self.millis = millis
        self.hour = millis // HOUR_MS
        digits = f"{guid_millis & 0xFFFF_FFFF_FFFF:012x}"
        self.head = f"{digits[:8]}-{digits[8:]}-7"
        self.counters: Iterator[str] = iter(_COUNTERS)
        self.tail = f"{0x8000 | bits >> 48 & 0x3FFF:04x}-{bits & 0xFFFF_FFFF_FFFF:012x}"
        self.time = (envelope.CE_TIME, time_text(millis))
        self.lanes: Lanes = {}


class StampSource:
    """Makes stamps. Each guid is greater than the one before it, also as text.

    RFC 9562 section 5.7 with the counter of section 6.2, method 1: 48 bits of Unix milliseconds, 12 of counter, 62 of
    randomness, which is drawn anew for each millisecond (and so shared by the guids of one). A clock that jumps back
    does not break the order: the last millisecond is kept until it is passed. More than 4,096 events a millisecond take
    the next one's guids. Thread-safe; a child process has to make one of its own.
    """

    def __init__(self) -> None:
        # reentrant: a signal handler may send while its own thread is in here
        self._lock = threading.RLock()
        self._random = random.Random(randbits(128))
        self._guid_millis = 0
        self.newest = Stamp(-1, 0, 0)

    def at(self, millis: int) -> Stamp:
        """Return the stamp of this millisecond, anew unless it is the newest."""
        with self._lock:
            return self.newest if self.newest.millis == millis else self._made(millis)

    def after(self, spent: Stamp) -> Stamp:
        """Return a stamp of the same millisecond with counters that are not used up."""
        with self._lock:
            return self.newest if self.newest is not spent else self._made(spent.millis)

    def guid(self, millis: int) -> str:
        """Return the next guid, in its canonical form of 36 characters."""
        stamp = self.at(millis)
        while (digits := next(stamp.counters, None)) is None:
            stamp = self.after(stamp)
        return stamp.head + digits + stamp.tail

    def _made(self, millis: int) -> Stamp:
        self._guid_millis = max(millis, self._guid_millis + 1)
        self.newest = Stamp(millis, self._guid_millis, self._random.getrandbits(62))
        return self.newest


def time_text(millis: int) -> str:
    """Return Unix milliseconds as RFC 3339."""
    seconds, rest = divmod(millis, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"
