"""Whether a router starts again and again: a pure verdict over how often Flink has restarted its job.

Between two restarts every subtask runs, so a look at the job's state alone finds nothing wrong.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

WINDOW = timedelta(minutes=10)
"""Restarts are counted over so long a time at least, and twice as long at most."""

MAX_RESTARTS = 3
"""So many in the window are a loop."""


class Restarts(BaseModel):
    """How often a job has been restarted since it was submitted.

    Attributes:
        failure: the first lines of its last exception; empty when it had none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    count: int
    failure: str = ""


class RestartWindow(BaseModel):
    """Counts of one job to compare; kept in the sensor's cursor.

    Attributes:
        start: what restarts are counted from.
        following: what takes its place when it is old.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str
    start: Restarts
    following: Restarts
    latest: Restarts

    @property
    def recent(self) -> int:
        """Restarts within the window."""
        return self.latest.count - self.start.count

    @property
    def is_loop(self) -> bool:
        """Whether the router starts again and again."""
        return self.recent >= MAX_RESTARTS


def watch(window: RestartWindow | None, job_id: str, started: datetime, found: Restarts) -> RestartWindow:
    """Return the window with the newest count of the job; another job's window begins anew."""
    if window is None or window.job_id != job_id:
        young = found.at - started <= WINDOW
        start = Restarts(at=started, count=0) if young else found
        return RestartWindow(job_id=job_id, start=start, following=found, latest=found)
    if found.at - window.following.at >= WINDOW:
        return RestartWindow(job_id=job_id, start=window.following, following=found, latest=found)
    return window.model_copy(update={"latest": found})
