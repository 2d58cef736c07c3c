"""What state a route is in, computed from what the ledger remembers and what the cluster says."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from keystone_platform.plan.deployment import Deployment, End, Outcome
from keystone_platform.plan.observation import Job

ACT_TIMEOUT = timedelta(minutes=3)
"""An intent without an outcome is somebody's act under way for so long; after that the actor is taken for dead."""


class Lifecycle(StrEnum):
    """A route's state."""

    ABSENT = "absent"
    """It was never deployed."""
    SUBMITTING = "submitting"
    """Its submission is under way: an intent without outcome, younger than ACT_TIMEOUT."""
    ABANDONED = "abandoned"
    """Its submission was begun, nobody recorded the end, and the cluster knows no such job."""
    RUNNING = "running"
    """Every subtask runs."""
    UNSETTLED = "unsettled"
    """The job is there but not all of it runs: it starts, restarts after a failure, or waits for slots."""
    STOPPING = "stopping"
    """A stop is under way, younger than ACT_TIMEOUT."""
    FAILED = "failed"
    """The job has ended although nobody recorded to have stopped it."""
    GONE = "gone"
    """The ledger says it runs, the cluster knows no such job."""
    STOPPED = "stopped"
    """Stopped on purpose; only a person starts it again."""
    PAUSED = "paused"
    """Stopped by the platform, since too many of its events died; only a person starts it again."""
    REFUSED = "refused"
    """The last submission was refused, so nothing runs."""
    REPLACING = "replacing"
    """The old deployment has ended to make place for a new one that is not there yet."""

    @property
    def needs_redeploy(self) -> bool:
        """Whether the router should run, does not, and nobody is at it."""
        return self in (Lifecycle.ABANDONED, Lifecycle.FAILED, Lifecycle.GONE, Lifecycle.REFUSED, Lifecycle.REPLACING)


_ENDED = {End.STOPPED: Lifecycle.STOPPED, End.PAUSED: Lifecycle.PAUSED}


def lifecycle(last: Deployment | None, job: Job | None, now: datetime) -> Lifecycle:
    """Return the state of the route whose newest deployment is `last` and whose job, by `last.job_id`, is `job`."""
    if last is None:
        return Lifecycle.ABSENT
    if last.outcome is Outcome.REFUSED:
        return Lifecycle.REFUSED
    if last.end is not None:
        return _ENDED.get(last.end, Lifecycle.REPLACING)
    if job is None:
        return _without_job(last, now)
    if job.state.is_terminal:
        return Lifecycle.FAILED
    if last.stop_intended_at and now - last.stop_intended_at < ACT_TIMEOUT:
        return Lifecycle.STOPPING
    return Lifecycle.RUNNING if job.is_running else Lifecycle.UNSETTLED


def _without_job(last: Deployment, now: datetime) -> Lifecycle:
    if last.outcome is not None:
        return Lifecycle.GONE
    return Lifecycle.SUBMITTING if now - last.intended_at < ACT_TIMEOUT else Lifecycle.ABANDONED
