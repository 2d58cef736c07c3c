"""Whether too many of a router's events die: a pure verdict over what its job has counted, some minutes apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from keystone_platform.spec.models import DeadLetterLimit

WINDOW = timedelta(minutes=5)
"""A share is over the events of so long a time at least, and of twice as long at most."""

FEWEST_LETTERS = 10
"""Fewer dead events in the window are no alarm, whatever share they are."""


class Counts(BaseModel):
    """What a job has counted since it started, or since its tasks were restarted.

    Attributes:
        events: read.
        dead: written to the dead letters.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    events: int
    dead: int


class Window(BaseModel):
    """Counts of one job to compare; kept in the sensor's cursor.

    Attributes:
        start: what the share is counted from.
        following: what takes its place when it is old.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str
    start: Counts
    following: Counts
    latest: Counts


@dataclass(frozen=True)
class Share:
    """The events of a window, and how many of them died."""

    events: int
    dead: int

    def __str__(self) -> str:
        return f"{self.dead:,} of {self.events:,} events died ({self.ratio:.1%})"

    @property
    def ratio(self) -> float:
        """Dead events by events; 0 where there are none."""
        return self.dead / self.events if self.events else 0.0


def advance(window: Window | None, job_id: str, started: datetime, counts: Counts) -> Window:
    """Return the window with the newest counts of the job; another job's window begins anew.

    Counters that went backwards are a restart of the tasks: they count from zero.
    """
    if window is None or window.job_id != job_id:
        young = counts.at - started <= WINDOW
        start = Counts(at=started, events=0, dead=0) if young else counts
        return Window(job_id=job_id, start=start, following=counts, latest=counts)
    before = window.latest
    if counts.events < before.events or counts.dead < before.dead:
        start = Counts(at=before.at, events=0, dead=0)
        return Window(job_id=job_id, start=start, following=counts, latest=counts)
    if counts.at - window.following.at >= WINDOW:
        return Window(job_id=job_id, start=window.following, following=counts, latest=counts)
    return window.model_copy(update={"latest": counts})


def share_of(window: Window) -> Share:
    """Return what died in the window."""
    return Share(window.latest.events - window.start.events, window.latest.dead - window.start.dead)


def exceeds(share: Share, limit: DeadLetterLimit) -> bool:
    """Whether so much died that the limit of the route is passed."""
    return share.dead >= FEWEST_LETTERS and share.ratio > limit.max_ratio
