"""Guids of events: UUIDv7, which Python 3.11's uuid module does not make yet."""

from __future__ import annotations

import os
import threading
import time

_COUNTER_BITS = 12
_COUNTER_END = 1 << _COUNTER_BITS
_RANDOM_MASK = (1 << 62) - 1
_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62


class GuidSource:
    """Makes UUIDv7s, each greater than the one before it, also as text.

    RFC 9562 section 5.7 with the counter of section 6.2, method 1: 48 bits of Unix milliseconds, 12 of counter, 62 of
    randomness. A clock that jumps back does not break the order: the last millisecond is kept until it is passed.
    Thread-safe; after a fork parent and child differ, since each guid takes fresh bits of the system's randomness.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._millis = 0
        self._counter = 0

    def next(self, now_ms: int | None = None) -> str:
        """Return the next guid in its canonical form of 36 characters, for the machine's time unless given."""
        random = int.from_bytes(os.urandom(8), "big") & _RANDOM_MASK
        now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        with self._lock:
            if now > self._millis:
                self._millis, self._counter = now, 0
            else:
                self._counter += 1
                if self._counter == _COUNTER_END:
                    self._millis, self._counter = self._millis + 1, 0
            value = self._millis << 80 | _VERSION | self._counter << 64 | _VARIANT | random
        digits = f"{value:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
