"""What a router's load is made of: observed rates, and the rate that one subtask could do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keystone_platform.plan.autoscale_steps import speed
from keystone_platform.plan.progress import Reading
from keystone_platform.plan.trail import Sample

LEAST_S = 5.0
"""Samples that lie closer together say nothing of a rate."""

LEAST_BUSY = 0.1
"""A router that is less busy than this tells nothing of what it could do: its rate is divided by next to nothing."""


@dataclass(frozen=True)
class Load:
    """A router as observed over the last minute or so.

    Attributes:
        at: end of that time, UTC.
        parallelism: subtasks that run.
        partitions: of the topic that it reads.
        lag: events in the topic that it has not read.
        arrival_per_s: events that came into the topic.
        processed_per_s: events that it read.
        busy: share of the time, 0 to 1, that its busiest reading subtask did not wait for events. Waiting for the sink
            counts as busy: a router is scaled as a whole, so what holds it up is its own rate.
    """

    at: datetime
    parallelism: int
    partitions: int
    lag: int
    arrival_per_s: float
    processed_per_s: float
    busy: float

    @property
    def behind_s(self) -> float:
        """Seconds of arriving events that the router has not read; 0 on a silent topic without lag."""
        return self.lag / max(self.arrival_per_s, self.processed_per_s, 1.0)

    def rate_of_one(self) -> float | None:
        """Return what one subtask would do if it never waited, events/s; None while it is too idle to tell.

        The true processing rate of DS2 (Kalavri et al., "Three steps is all you need", OSDI 2018), on which the Flink
        Kubernetes Operator's autoscaler builds: the observed rate by the share of the time that is used for it.
        """
        if self.busy < LEAST_BUSY or self.processed_per_s <= 0:
            return None
        return self.processed_per_s / (min(self.busy, 1.0) * speed(self.parallelism, self.partitions))

    def least_rate_of_one(self) -> float | None:
        """Return what one subtask does at the least, from a router that idles; None of one that does not."""
        if self.busy >= LEAST_BUSY:
            return None
        return max(self.processed_per_s, 1.0) / (LEAST_BUSY * speed(self.parallelism, self.partitions))


def load_between(before: Sample, after: Sample, reading: Reading, partitions: int) -> Load | None:
    """Return the load over the time between two samples of one job; None where they do not tell.

    Args:
        before: a minute or so ago.
        after: now.
        reading: measured with `after`.
        partitions: of the topic.
    """
    seconds = (after.at - before.at).total_seconds()
    read = after.events - before.events
    if seconds < LEAST_S or read < 0:  # tasks that were started anew count from zero
        return None
    return Load(
        at=after.at,
        parallelism=reading.parallelism,
        partitions=partitions,
        lag=after.lag,
        arrival_per_s=max(0.0, (read + after.lag - before.lag) / seconds),
        processed_per_s=read / seconds,
        busy=reading.busy,
    )
