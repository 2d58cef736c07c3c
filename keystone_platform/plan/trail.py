"""What is remembered of a router's measurements, to see in which direction it goes; kept in the sensor's cursor."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from keystone_platform.plan.progress import JobProgress, Reading

WINDOW = timedelta(minutes=5)
"""Directions are over so long a time at least, and twice as long at most."""


class Sample(BaseModel):
    """A router at one moment.

    Attributes:
        events: read since its tasks were started.
        lag: events in its topics that it has not read.
        ends: sum of where its topics' partitions ended; None when Kafka did not tell.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    events: int
    lag: int
    ends: int | None = None


class Trail(BaseModel):
    """Samples of one job to compare.

    Attributes:
        start: what directions are counted from.
        following: what takes its place when it is old.
        still: the first sample at which it had read nothing since the one before; None while it reads.
        unread_since: since when it has read nothing although there is something to read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str
    start: Sample
    following: Sample
    latest: Sample
    still: Sample | None = None
    unread_since: datetime | None = None

    @property
    def span_s(self) -> float:
        """Seconds that the directions are over; 0 with one sample."""
        return (self.latest.at - self.start.at).total_seconds()

    @property
    def is_long(self) -> bool:
        """Whether the samples lie so far apart that their direction tells something."""
        return self.latest.at - self.start.at >= WINDOW

    @property
    def read_per_s(self) -> float | None:
        """Events/s read; None with one sample."""
        return (self.latest.events - self.start.events) / self.span_s if self.span_s else None

    @property
    def arrived_per_s(self) -> float | None:
        """Events/s that came into the topics; None with one sample."""
        if not self.span_s:
            return None
        arrived = self.latest.events - self.start.events + self.latest.lag - self.start.lag
        return max(0.0, arrived / self.span_s)

    @property
    def behind_s(self) -> float | None:
        """Seconds of arriving events that it has not read, or of reading where fewer arrive; None with one sample."""
        if self.read_per_s is None or self.arrived_per_s is None:
            return None
        return self.latest.lag / max(self.arrived_per_s, self.read_per_s, 1.0)

    @property
    def catch_up_s(self) -> float | None:
        """Seconds until it has caught up at the pace of the last minutes; None when it falls behind or stays so."""
        fell = self.start.lag - self.latest.lag
        if self.latest.lag == 0:
            return 0.0
        return self.latest.lag * self.span_s / fell if fell > 0 else None


def follow(trail: Trail | None, job_id: str, found: JobProgress, ends: int | None = None) -> Trail | None:
    """Return the trail with the newest measurement of the job; another job's begins anew.

    A measurement that does not say how much is left to read changes nothing: None if there is no trail of the job yet.

    Args:
        trail: as it was before.
        job_id: of the job that was measured.
        found: the measurement.
        ends: sum of where the partitions of its topics end, asked for at about the same time; None where not known.
    """
    before = trail if trail and trail.job_id == job_id else None
    if found.reading is None or found.reading.lag is None:
        return before
    read = found.reading.events
    if before is None or read < before.latest.events:  # tasks that were started anew count from zero
        sample = Sample(at=found.at, events=read, lag=found.reading.lag, ends=ends)
        return Trail(job_id=job_id, start=sample, following=sample, latest=sample)
    lag = _lag(before, found.reading, found.reading.lag, ends)
    sample = Sample(at=found.at, events=read, lag=lag, ends=ends)
    is_still, unread_at = read == before.latest.events, before.latest.at if before.latest.lag else found.at
    fresh = before.model_copy(
        update={
            "latest": sample,
            "still": (before.still or sample) if is_still else None,
            "unread_since": (before.unread_since or unread_at) if is_still and lag else None,
        }
    )
    if sample.at - before.following.at < WINDOW:
        return fresh
    return fresh.model_copy(update={"start": before.following, "following": sample})


def _lag(before: Trail, reading: Reading, fetched: int, ends: int | None) -> int:
    """Return what is left to read; of a source that is held up it is what it was and what has come since.

    Only then: what ends a transaction moves the ends of a topic too, and is nothing to read.
    """
    still = before.still
    if still is None or reading.events != still.events or not reading.is_held_up:
        return fetched
    return fetched if ends is None or still.ends is None else max(fetched, still.lag + ends - still.ends)
