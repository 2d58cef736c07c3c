"""Whether a router that runs gets on: a pure verdict over its newest measurement and where it was minutes ago.

None of this is mended by a restart, so none is asked for: each finding says what to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from keystone_platform.plan.figures import duration
from keystone_platform.plan.progress import JobProgress
from keystone_platform.plan.trail import Trail

LEAST_PATIENCE = timedelta(minutes=5)
"""A checkpoint or a commit that is younger is never too old, however short the interval: longer than any upload."""

INTERVALS = 5
"""A checkpoint or a commit may be so many intervals old."""

MOST_FAILED = 3
"""Checkpoints that may fail one after the other; a single one that does is no news on a busy object store."""

MOST_STILL = timedelta(minutes=3)
"""How long a router may read nothing while there is something to read."""

LONGEST_CATCH_UP = timedelta(days=1)
"""A backlog that would take longer at the pace of the last minutes is not being worked off."""

HALF = 0.5
"""A source that waits for the sink for so much of its time is held up by it."""

_LOOK = "; look at the object store that takes its checkpoints, and at its sink"


class Kind(StrEnum):
    """What is wrong, worst first."""

    CHECKPOINT_TOO_OLD = "no checkpoint"
    """Nothing that was read for a long time is safe, or in a table: a failure now repeats all of it."""
    STANDS_STILL = "stands still"
    """It reads nothing although there is something to read."""
    COMMIT_TOO_OLD = "no commit"
    """Checkpoints complete, and still rows wait for their commit."""
    CHECKPOINTS_FAIL = "checkpoints fail"
    """A few in a row; not for long yet."""
    FALLS_BEHIND = "falls behind"
    """It is later than it may be and does not catch up."""


@dataclass(frozen=True)
class Finding:
    """Something that keeps a router from getting on.

    Attributes:
        text: one line for people, with the numbers and what to look at.
        is_error: events do not get through at all; otherwise they do, but late.
    """

    kind: Kind
    text: str
    is_error: bool


@dataclass(frozen=True)
class Judged:
    """What is judged.

    Attributes:
        interval_s: between two checkpoints, as planned.
        max_lag_s: how late it may be, by its YAML.
        running_since: since when all of it runs; what could not happen before that is not held against it.
        trail: with the newest measurement; None while the job has read nothing.
        now: the time, UTC.
        least_patience: how old a checkpoint or a commit may be however short the interval.
    """

    found: JobProgress
    trail: Trail | None
    interval_s: int
    max_lag_s: int
    running_since: datetime
    now: datetime
    least_patience: timedelta = LEAST_PATIENCE

    @property
    def patience(self) -> timedelta:
        """How old a checkpoint or a commit may be."""
        return max(self.least_patience, INTERVALS * timedelta(seconds=self.interval_s))

    @property
    def checkpoint_age(self) -> timedelta:
        """Time without a completed checkpoint."""
        return self.now - max(self.found.checkpoints.latest_at or self.running_since, self.running_since)

    @property
    def still_for(self) -> timedelta:
        """Time for which it has read nothing though there is something to read; 0 while it reads."""
        since = self.trail.unread_since if self.trail else None
        return self.now - max(since, self.running_since) if since else timedelta()


def find_stalls(judged: Judged) -> tuple[Finding, ...]:
    """Return what keeps the router from getting on, worst first."""
    return tuple(finding for look in _LOOKS for finding in look(judged))


def _checkpoint_age(judged: Judged) -> Iterator[Finding]:
    if judged.checkpoint_age <= judged.patience:
        return
    failures = judged.found.checkpoints.failures
    why = f"{len(failures)} failed in a row" if failures else "the one under way does not end"
    text = (
        f"no checkpoint for {_for(judged.checkpoint_age)} (one every {judged.interval_s} s is wanted): {why}: "
        f"{f'{failures[0].failure}{_LOOK}' if failures else _what_holds_up(judged.found)}"
    )
    yield Finding(Kind.CHECKPOINT_TOO_OLD, text, is_error=True)


def _still(judged: Judged) -> Iterator[Finding]:
    if judged.trail and judged.still_for > MOST_STILL:
        text = (
            f"it has read nothing for {_for(judged.still_for)} and {judged.trail.latest.lag:,} events wait: "
            f"{_what_holds_up(judged.found)}"
        )
        yield Finding(Kind.STANDS_STILL, text, is_error=True)


def _commit_age(judged: Judged) -> Iterator[Finding]:
    committing = judged.found.committing
    if committing is None or not committing.waiting or judged.checkpoint_age > judged.patience:
        return
    waited = min(timedelta(seconds=committing.age_s), judged.now - judged.running_since)
    if waited > judged.patience:
        text = (
            f"checkpoints complete, but nothing was committed to the table for {_for(waited)} and "
            f"{committing.waiting:,} rows wait: look at the catalog, and for another writer that holds the table"
        )
        yield Finding(Kind.COMMIT_TOO_OLD, text, is_error=True)


def _failed_checkpoints(judged: Judged) -> Iterator[Finding]:
    failures = judged.found.checkpoints.failures
    if len(failures) >= MOST_FAILED and judged.checkpoint_age <= judged.patience:
        text = f"{len(failures)} checkpoints failed in a row: {failures[0].failure}{_LOOK}"
        yield Finding(Kind.CHECKPOINTS_FAIL, text, is_error=False)


def _falls_behind(judged: Judged) -> Iterator[Finding]:
    trail = judged.trail
    if trail is None or not trail.is_long or not trail.behind_s or judged.still_for > MOST_STILL:
        return
    late = trail.behind_s > judged.max_lag_s
    catches_up = trail.catch_up_s is not None and trail.catch_up_s <= LONGEST_CATCH_UP.total_seconds()
    if late and not catches_up:
        text = (
            f"{trail.latest.lag:,} events ({duration(trail.behind_s)}) behind and not catching up: "
            f"{trail.arrived_per_s:,.0f} events/s come, {trail.read_per_s:,.0f} are read; "
            f"{_what_holds_up(judged.found)}"
        )
        yield Finding(Kind.FALLS_BEHIND, text, is_error=False)


_LOOKS = (_checkpoint_age, _still, _commit_age, _failed_checkpoints, _falls_behind)


def _what_holds_up(found: JobProgress) -> str:
    """Say where to look, from what the reading subtasks do with their time."""
    reading = found.reading
    if reading is None:
        return "its tasks do not tell what they do; look at the job"
    if reading.backpressured >= HALF:
        return f"the source waits for the sink {reading.backpressured:.0%} of its time; look at the sink"
    if reading.is_held_up:
        return (
            f"its reading subtasks are busy {reading.busy:.0%} of their time, writing included where they write too; "
            "look at the sink, or give it more `parallelism`"
        )
    return (
        f"its reading subtasks idle {1 - reading.busy:.0%} of their time; look at the brokers and at skewed partitions"
    )


def _for(span: timedelta) -> str:
    return duration(span.total_seconds())
