"""What the health sensor says and asks for, computed from one sweep and what it remembers: no effect in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from keystone_platform.control.sweep import RouteStatus
from keystone_platform.plan.healing import MAX_ATTEMPTS, Incident, attempt, track
from keystone_platform.plan.lifecycle import Lifecycle

GRACE = timedelta(minutes=2)
"""How long a router may start or restart before that is reported as unhealthy."""

HEARTBEAT = timedelta(hours=1)
"""Nothing changed: the report is repeated so often, since the event log keeps everything forever."""


class Memory(BaseModel):
    """What the sensor remembers of a route between two ticks.

    Attributes:
        since: when the route came into this state, as far as the sensor saw.
        reported: what was reported last; None: nothing yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Lifecycle
    epoch: int
    since: datetime
    incident: Incident | None = None
    reported: str | None = None
    reported_at: datetime | None = None


@dataclass(frozen=True)
class Report:
    """A verdict on a router's health, to be written to the event log.

    Attributes:
        passed: it runs, or is meant not to.
        given_up: no further redeploy will be asked for: a person is needed.
        text: one line for people.
    """

    passed: bool
    given_up: bool
    text: str


@dataclass(frozen=True)
class Assessment:
    """What one tick comes to for one route.

    Attributes:
        report: to be written now; None when nothing changed.
        attempt: set when a redeploy is to be asked for now.
    """

    status: RouteStatus
    memory: Memory
    report: Report | None
    attempt: Incident | None


def assess(
    statuses: Sequence[RouteStatus], memories: Mapping[str, Memory], busy: frozenset[str], now: datetime
) -> tuple[Assessment, ...]:
    """Assess each route that was ever deployed.

    Args:
        statuses: of one sweep.
        memories: by route, of the tick before.
        busy: routes that a queued or running run is redeploying already.
        now: the time, UTC.
    """
    deployed = [status for status in statuses if status.last is not None]
    return tuple(_assess(status, memories.get(status.route), status.route in busy, now) for status in deployed)


def _assess(status: RouteStatus, memory: Memory | None, busy: bool, now: datetime) -> Assessment:
    epoch = status.last.epoch if status.last else 0
    since = memory.since if memory and memory.state is status.state else now
    incident = track(memory.incident if memory else None, status.state, epoch, now - since)
    due = None if busy else attempt(incident, status.state, now)
    report = _report(status.state, due or incident, now - since)
    mark = f"{status.state}/{epoch}/{report.text}" if report else None
    fresh = Memory(
        state=status.state,
        epoch=epoch,
        since=since,
        incident=due or incident,
        reported=memory.reported if memory else None,
        reported_at=memory.reported_at if memory else None,
    )
    told = fresh.reported == mark and fresh.reported_at is not None and now - fresh.reported_at < HEARTBEAT
    if report is None or told:
        return Assessment(status, fresh, None, due)
    return Assessment(status, fresh.model_copy(update={"reported": mark, "reported_at": now}), report, due)


def _report(state: Lifecycle, incident: Incident | None, lasted: timedelta) -> Report | None:
    if state is Lifecycle.RUNNING:
        return Report(passed=True, given_up=False, text="every subtask runs")
    if state is Lifecycle.STOPPED:
        return Report(passed=True, given_up=False, text="stopped on purpose")
    if not state.needs_redeploy:
        text = f"it does not run whole for more than {GRACE.seconds // 60} minutes ({state})"
        return Report(passed=False, given_up=False, text=text) if lasted >= GRACE else None
    attempts = incident.attempts if incident else 0
    if incident and incident.given_up:
        text = f"it is down ({state}); {attempts} redeploys did not mend it: a person is needed"
        return Report(passed=False, given_up=True, text=text)
    return Report(passed=False, given_up=False, text=f"it is down ({state}); redeploy {attempts} of {MAX_ATTEMPTS}")
