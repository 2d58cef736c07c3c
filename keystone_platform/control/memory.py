"""What the health sensor remembers of a route between two ticks: its cursor."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from keystone_platform.plan.autoscale_decision import Change, Watch
from keystone_platform.plan.autoscale_forecast import Forecast
from keystone_platform.plan.crash_loop import RestartWindow
from keystone_platform.plan.dead_letter_share import Window
from keystone_platform.plan.gate import Gate
from keystone_platform.plan.healing import Incident
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.plan.trail import Sample, Trail

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


class Scaling(BaseModel):
    """What is remembered of a route that may be scaled; kept in the sensor's cursor.

    Attributes:
        epoch: deployment that `changes` were read with.
        sample: of the decision before, which the next one's rates are counted from.
        capacity_per_s: events/s that the router could do then; None where that is not known.
        expected: from past weeks; None where nothing is known of them.
        expected_for: the hour that this was asked for in.
        told: the decision that was written down last.
        asked_at: when a rescale was asked for.
        asked_for: with how many subtasks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    job_id: str
    sample: Sample
    watch: Watch = Watch()
    changes: tuple[Change, ...] = ()
    capacity_per_s: float | None = None
    expected: Forecast | None = None
    expected_for: datetime | None = None
    told: Told | None = None
    asked_at: datetime | None = None
    asked_for: int = 0


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
        scaling: what the autoscaler remembers of it; None where it has no bounds.
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
    scaling: Scaling | None = None
