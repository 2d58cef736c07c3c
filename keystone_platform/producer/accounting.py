"""What became of each event that was handed to the producer: nothing vanishes uncounted."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class DropReason(StrEnum):
    """Why an event did not reach Kafka."""

    QUEUE_FULL = "queue_full"
    """The buffer was full: Kafka is slower than the service, or not there."""

    TOO_LARGE = "too_large"
    """The event is larger than the producer or the topic takes."""

    TIMED_OUT = "timed_out"
    """Kafka did not acknowledge in time; the event may have arrived nevertheless."""

    REFUSED = "refused"
    """Kafka refused it: no such topic, no right to write."""

    CLOSED = "closed"
    """The producer was closed before it was acknowledged, or already when it was sent."""


@dataclass(frozen=True)
class Counts:
    """Events so far; `attempted` is the sum of all the others.

    Attributes:
        attempted: handed to `send`.
        acknowledged: on every in-sync replica.
        dropped: given up, by reason; reasons that never occurred are absent.
    """

    attempted: int
    acknowledged: int
    dropped: Mapping[DropReason, int]

    @property
    def dropped_total(self) -> int:
        """Events given up for any reason."""
        return sum(self.dropped.values())

    @property
    def pending(self) -> int:
        """Events whose outcome is not known yet."""
        return self.attempted - self.acknowledged - self.dropped_total


class Account:
    """Counts; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempted = 0
        self._acknowledged = 0
        self._dropped: dict[DropReason, int] = {}

    def attempt(self) -> None:
        """Count an event that was handed over."""
        with self._lock:
            self._attempted += 1

    def acknowledge(self) -> None:
        """Count an event that Kafka has."""
        with self._lock:
            self._acknowledged += 1

    def drop(self, reason: DropReason) -> None:
        """Count an event that was given up."""
        with self._lock:
            self._dropped[reason] = self._dropped.get(reason, 0) + 1

    def counts(self) -> Counts:
        """Return the counts at one moment."""
        with self._lock:
            return Counts(self._attempted, self._acknowledged, dict(self._dropped))
