"""What the health sensor remembers of a route between two ticks: its cursor."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from keystone_platform.plan.crash_loop import RestartWindow
from keystone_platform.plan.dead_letter_share import Window
from keystone_platform.plan.gate import Gate
from keystone_platform.plan.healing import Incident
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.plan.trail import Trail

HEARTBEAT = timedelta(hours=1)
"""Nothing changed: a report is repeated so often, since the event log keeps everything forever."""

STALLED_HEARTBEAT = timedelta(minutes=10)
"""The same of a router that does not get on: its figures are looked at meanwhile."""


class Told(BaseModel):
    """A report that was written down.

    Attributes:
        mark: what it said, without numbers: another mark is news.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mark: str
    at: datetime

    def is_due(self, mark: str, now: datetime, heartbeat: timedelta = HEARTBEAT) -> bool:
        """Whether a report of that mark is to be written."""
        return self.mark != mark or now - self.at >= heartbeat


class Memory(BaseModel):
    """What is remembered of one route.

    Attributes:
        since: when the route came into this state, as far as the sensor saw.
        window: what its job has counted, to see how many of its events die.
        gate: rollbacks that were asked for of its changed plan.
        restarts: how often its job was restarted, to see whether it starts again and again.
        trail: how far it had come, to see whether it gets on.
        stalled: it did not get on when it was measured last.
        measured_at: when that was; None: not yet.
        told: what was reported last of its running; None: nothing yet.
        told_progress: the same of its progress.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Lifecycle
    epoch: int
    since: datetime
    incident: Incident | None = None
    window: Window | None = None
    gate: Gate | None = None
    restarts: RestartWindow | None = None
    trail: Trail | None = None
    stalled: bool = False
    measured_at: datetime | None = None
    told: Told | None = None
    told_progress: Told | None = None
