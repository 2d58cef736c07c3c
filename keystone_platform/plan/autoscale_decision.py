"""What the autoscaling policy says, is told and remembers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Reason(StrEnum):
    """What a decision rests on."""

    UNKNOWN = "unknown"
    """It reads nothing although it is busy, and was never seen to read: what a subtask could do is not known."""
    SETTLING = "settling"
    """It was changed a moment ago: nothing that is measured now counts."""
    STEADY = "steady"
    """What it has is what it needs."""
    BOUNDS = "bounds"
    """It runs outside the bounds of its YAML."""
    TRAFFIC = "traffic"
    """More arrives, or is expected soon, than it should take."""
    BACKLOG = "backlog"
    """It is late, and would not catch up in time."""
    INEFFECTIVE = "ineffective"
    """It needs more, but the last scale-up did not make it faster: something else holds it up."""
    AT_MOST = "at most"
    """It needs more than its bounds and its topic's partitions allow."""
    WAITING = "waiting"
    """Less would suffice, but not for long enough yet, or it was changed too often today."""
    CALM = "calm"
    """Less sufficed for long enough."""


@dataclass(frozen=True)
class Change:
    """A change of the parallelism that was made.

    Attributes:
        at: when the router ran again.
        rate_before: events/s that it could do before, as measured then; None where that is not known.
    """

    at: datetime
    before: int
    after: int
    rate_before: float | None = None


class Watch(BaseModel):
    """What the policy remembers of a route from one decision to the next.

    Attributes:
        arrival_per_s: events/s that arrive, smoothed.
        rate_of_one: events/s of one subtask, smoothed; None until it was measured.
        parallelism: at which that was measured.
        less_since: since when a smaller step suffices without a break.
        half_since: since when half of the slots, or fewer, suffice without a break.
        less: the greatest step that was needed since then, its first half hour left out; 0 in that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    arrival_per_s: float | None = None
    rate_of_one: float | None = None
    parallelism: int = 0
    less_since: datetime | None = None
    half_since: datetime | None = None
    less: int = 0


@dataclass(frozen=True)
class Decision:
    """What the router should have.

    Attributes:
        target: subtasks that it should have; equal to `current` when nothing is to change.
        why: the numbers that it follows from, so that a person can check the sum.
        capacity_per_s: events/s that it can do now; None when that is not known.
    """

    current: int
    target: int
    reason: Reason
    why: str
    capacity_per_s: float | None = None

    @property
    def is_change(self) -> bool:
        """Whether the parallelism should become another one."""
        return self.target != self.current

    def __str__(self) -> str:
        step = f"{self.current} -> {self.target}" if self.is_change else f"stays at {self.current}"
        return f"{step} ({self.reason}): {self.why}"
