"""What became of each event that was handed to the producer: nothing vanishes uncounted.

Counts are kept for each stream, cluster and hour of the records' timestamps, since that is what a topic can be asked
for. A tally is added to without a lock: CPython hands the interpreter on, and runs signal handlers, only at calls and
at backward jumps, never within `tally.attempted += 1`. So what is added is worked out in a statement before it, since
`x.sum += len(y)` reads the sum, calls, and writes. tests/unit/producer/test_accounting.py holds it to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

UNKNOWN = "?"
"""Stands for all streams that nobody declared: their names may be anything, and as many."""


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

    NOT_BYTES = "not_bytes"
    """Payload or key are not bytes."""

    BAD_TIME = "bad_time"
    """The time has no zone, or is no time."""

    BAD_ATTRIBUTE = "bad_attribute"
    """An extension's name is not of [a-z0-9]{1,20}, or its value is no text, or all of them are too large."""

    UNKNOWN_STREAM = "unknown_stream"
    """The declared streams are known, and this is none of them; or its name is no topic's."""

    NO_CLUSTER = "no_cluster"
    """The producer was given none of the clusters that the stream lives on."""

    INVALID = "invalid"
    """The validation hook refused the payload."""


NEVER_SENT = frozenset(DropReason) - {
    DropReason.TIMED_OUT,
    DropReason.REFUSED,
    DropReason.CLOSED,
    DropReason.TOO_LARGE,
}
"""Reasons of events that no broker was sent."""


@dataclass(frozen=True)
class Counts:
    """Events so far; `attempted` is the sum of acknowledged, dropped and pending.

    Attributes:
        attempted: handed to `send`.
        acknowledged: what the stream's `acks` asks for has it: every in-sync replica, or the partition's leader.
        dropped: given up, by reason; reasons that never occurred are absent.
        retried: sent to Kafka more than once, counted each further time; at least so many, exact when nothing is
            pending. Never part of the sum.
    """

    attempted: int = 0
    acknowledged: int = 0
    dropped: Mapping[DropReason, int] = field(default_factory=dict)
    retried: int = field(default=0, compare=False)

    @property
    def dropped_total(self) -> int:
        """Events given up for any reason."""
        return sum(self.dropped.values())

    @property
    def pending(self) -> int:
        """Events whose outcome is not known yet."""
        return self.attempted - self.acknowledged - self.dropped_total


@dataclass(frozen=True)
class Sums:
    """Of a cluster, since the producer began.

    Attributes:
        sent: handed to librdkafka.
        done: of these, acknowledged or given up, for any reason.
        timed_out: given up because the cluster did not acknowledge in time.
    """

    sent: int
    acknowledged: int
    done: int
    timed_out: int


Snapshot = tuple[int, int, tuple[tuple[str, int], ...]]
"""Attempted, acknowledged, and dropped by the reason's value."""


class Tally:
    """Counts of one stream, cluster and hour, as they grow.

    Attributes:
        hour: of the records' timestamps, counted from 1970.
        told: the counts that are known elsewhere.
    """

    __slots__ = ("acknowledged", "attempted", "cluster", "dropped", "hour", "stream", "told")

    def __init__(self, stream: str, cluster: str, hour: int) -> None:
        self.stream = stream
        self.cluster = cluster
        self.hour = hour
        self.attempted = 0
        self.acknowledged = 0
        self.dropped = dict.fromkeys(
            DropReason, 0
        )  # all there from the start: nobody may add a key while another reads
        self.told: Snapshot = (0, 0, ())

    def drop(self, reason: DropReason, events: int = 1) -> None:
        """Count events that were given up."""
        # a DropReason is hashed and compared as text, in C: no call of Python's between reading and writing
        self.dropped[reason] += events

    def snapshot(self) -> Snapshot:
        """Return the counts; outcomes are read before the attempts, so that none is counted without its attempt."""
        acknowledged = self.acknowledged
        dropped = tuple((reason.value, events) for reason, events in self.dropped.items() if events)
        return self.attempted, acknowledged, dropped

    @property
    def is_news(self) -> bool:
        """Whether something was counted that is not known elsewhere."""
        return self.snapshot() != self.told

    def counts(self) -> Counts:
        """Return the counts, as `snapshot` does."""
        attempted, acknowledged, dropped = self.snapshot()
        return Counts(attempted, acknowledged, {DropReason(reason): events for reason, events in dropped})


@dataclass(frozen=True)
class Place:
    """What is counted apart: a stream on a cluster."""

    stream: str
    cluster: str


class Account:
    """All tallies of a producer. Making one is guarded by its owner's lock; reading needs none."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str, int], Tally] = {}
        self._settled: dict[Place, Counts] = {}
        self._retried: dict[Place, int] = {}

    def tally(self, stream: str, cluster: str, hour: int) -> Tally:
        """Return the tally of that stream, cluster and hour."""
        found = self._tallies.get((stream, cluster, hour))
        return found or self._tallies.setdefault((stream, cluster, hour), Tally(stream, cluster, hour))

    def tallies(self) -> list[Tally]:
        """Return those that are not settled yet."""
        return list(self._tallies.values())

    def settle(self, tally: Tally) -> None:
        """Keep only the sum of a tally that will not change any more and that was written where it is to be read."""
        place = Place(tally.stream, tally.cluster)
        self._settled[place] = added([self._settled.get(place, Counts()), tally.counts()])
        del self._tallies[tally.stream, tally.cluster, tally.hour]

    def retried(self, place: Place, events: int) -> None:
        """Take note of how many events were sent again in all."""
        self._retried[place] = max(events, self._retried.get(place, 0))

    def by_place(self) -> dict[Place, Counts]:
        """Return the counts of each stream and cluster."""
        parts: dict[Place, list[Counts]] = {place: [counts] for place, counts in list(self._settled.items())}
        for tally in self.tallies():
            parts.setdefault(Place(tally.stream, tally.cluster), []).append(tally.counts())
        for place, events in list(self._retried.items()):
            parts.setdefault(place, []).append(Counts(retried=events))
        return {place: added(each) for place, each in parts.items()}

    def counts(self) -> Counts:
        """Return the counts of all together."""
        return added(self.by_place().values())

    def sums(self, cluster: str) -> Sums:
        """Return the sums of a cluster; outcomes are read before the attempts, as in `Tally.snapshot`."""
        sent = acknowledged = done = timed_out = 0
        for place, counts in list(self._settled.items()):
            if place.cluster == cluster:  # none of these is pending
                given_up = counts.dropped_total - sum(counts.dropped.get(reason, 0) for reason in NEVER_SENT)
                acknowledged += counts.acknowledged
                sent += counts.acknowledged + given_up
                done += counts.acknowledged + given_up
                timed_out += counts.dropped.get(DropReason.TIMED_OUT, 0)
        for tally in self.tallies():
            if tally.cluster == cluster:
                taken, dropped = tally.acknowledged, sum(tally.dropped.values())
                refused = sum(tally.dropped[reason] for reason in NEVER_SENT)
                acknowledged += taken
                done += taken + dropped - refused
                timed_out += tally.dropped[DropReason.TIMED_OUT]
                sent += tally.attempted - refused
        return Sums(sent, acknowledged, done, timed_out)


def added(parts: Iterable[Counts]) -> Counts:
    """Return the sum."""
    attempted = acknowledged = retried = 0
    dropped: dict[DropReason, int] = {}
    for part in parts:
        attempted += part.attempted
        acknowledged += part.acknowledged
        retried += part.retried
        for reason, events in part.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + events
    return Counts(attempted, acknowledged, dropped, retried)
