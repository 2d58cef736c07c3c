"""A router's progress in figures: what the UI plots, `keystone status` says, and people compare."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keystone_platform.plan.progress import JobProgress, Reading
from keystone_platform.plan.trail import Trail


@dataclass(frozen=True)
class Figures:
    """Each is None where it is not known, or does not exist for this router.

    Attributes:
        lag_events: events in its topics that it has not read.
        lag_s: seconds of arriving events that those are, or of reading where fewer arrive.
        catch_up_s: seconds until it has caught up, at the pace of the last minutes.
        read_per_s: events/s read in the last minute, by all subtasks.
        busy: share of the last minute, 0 to 1, that the busiest reading subtask did not wait for events.
        backpressured: share of the last minute, 0 to 1, that the worst reading subtask waited for what comes after it.
        parallelism: subtasks that read.
        checkpoint_age_s: seconds since the newest checkpoint completed.
        checkpoint_duration_s: how long that took.
        checkpoint_bytes: what it holds.
        failed_checkpoints: how many failed since.
        commit_age_s: seconds since the table had all that was to be committed.
    """

    lag_events: int | None = None
    lag_s: float | None = None
    catch_up_s: float | None = None
    read_per_s: float | None = None
    busy: float | None = None
    backpressured: float | None = None
    parallelism: int | None = None
    checkpoint_age_s: float | None = None
    checkpoint_duration_s: float | None = None
    checkpoint_bytes: int | None = None
    failed_checkpoints: int | None = None
    commit_age_s: float | None = None

    def __str__(self) -> str:
        told = []
        if self.lag_events is not None:
            late = f" ({duration(self.lag_s)})" if self.lag_s is not None and self.lag_s >= 1 else ""
            told.append(f"{self.lag_events:,} events behind{late}")
        if self.checkpoint_age_s is not None:
            told.append(f"checkpoint {duration(self.checkpoint_age_s)} ago")
        if self.commit_age_s is not None:
            told.append(f"commit {duration(self.commit_age_s)} ago")
        return ", ".join(told) or "nothing read yet"


def figures_of(found: JobProgress, trail: Trail | None, now: datetime) -> Figures:
    """Return the figures of a measurement; `trail` holds it already, or is None where nobody watched before."""
    reading, checkpoints = found.reading, found.checkpoints
    completed, newest = checkpoints.latest_at, checkpoints.newest
    return Figures(
        lag_events=_lag(reading, trail),
        lag_s=_behind_s(reading, trail),
        catch_up_s=_rounded(trail.catch_up_s if trail else None),
        read_per_s=_rounded(reading.per_s if reading else None),
        busy=_rounded(reading.busy if reading else None),
        backpressured=_rounded(reading.backpressured if reading else None),
        parallelism=reading.parallelism if reading else None,
        checkpoint_age_s=_rounded(max(0.0, (now - completed).total_seconds()) if completed else None),
        checkpoint_duration_s=newest.took_s if newest else None,
        checkpoint_bytes=newest.state_bytes if newest else None,
        failed_checkpoints=len(checkpoints.failures),
        commit_age_s=_rounded(found.committing.age_s if found.committing else None),
    )


def _lag(reading: Reading | None, trail: Trail | None) -> int | None:
    if trail:
        return trail.latest.lag
    return reading.lag if reading else None


def _behind_s(reading: Reading | None, trail: Trail | None) -> float | None:
    if trail and trail.behind_s is not None:
        return _rounded(trail.behind_s)
    lag = _lag(reading, trail)
    return None if lag is None or reading is None else _rounded(lag / max(reading.per_s, 1.0))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def duration(seconds: float) -> str:
    """Return a span of time for people: `8 s`, `12 min`, `3.5 h`."""
    if seconds < 2 * 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
