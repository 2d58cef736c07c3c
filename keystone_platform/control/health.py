"""What the health sensor says and asks for, computed from one sweep and what it remembers: no effect in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

from keystone_platform.control.sweep import RouteStatus
from keystone_platform.plan.crash_loop import Restarts, RestartWindow, watch
from keystone_platform.plan.dead_letter_share import Counts, Share, Window, advance, exceeds, share_of
from keystone_platform.plan.deployment import Cause, Deployment
from keystone_platform.plan.gate import Gate, ask, has_given_up
from keystone_platform.plan.healing import MAX_ATTEMPTS, Incident, attempt, track
from keystone_platform.plan.lifecycle import ACT_TIMEOUT, Lifecycle
from keystone_platform.spec.models import DEFAULT_LIMIT, DeadLetterLimit

GRACE = timedelta(minutes=2)
"""How long a router may start or restart before that is reported as unhealthy."""

HEARTBEAT = timedelta(hours=1)
"""Nothing changed: the report is repeated so often, since the event log keeps everything forever."""


class Memory(BaseModel):
    """What the sensor remembers of a route between two ticks.

    Attributes:
        since: when the route came into this state, as far as the sensor saw.
        window: what its job has counted, to see how many of its events die.
        gate: rollbacks that were asked for of its changed plan.
        restarts: how often its job was restarted, to see whether it starts again and again.
        reported: what was reported last; None: nothing yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Lifecycle
    epoch: int
    since: datetime
    incident: Incident | None = None
    window: Window | None = None
    gate: Gate | None = None
    restarts: RestartWindow | None = None
    reported: str | None = None
    reported_at: datetime | None = None


@dataclass(frozen=True)
class Report:
    """A verdict on a router's health, to be written to the event log.

    Attributes:
        passed: it runs and takes its events, or is meant not to run.
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
        pause: why a pause is to be asked for now; None when it is not.
        rollback: why a rollback is to be asked for now; None when it is not.
        share: what died in the window; None when nobody counted.
    """

    status: RouteStatus
    memory: Memory
    report: Report | None
    attempt: Incident | None
    pause: str | None = None
    share: Share | None = None
    rollback: str | None = None


def assess(
    statuses: Sequence[RouteStatus],
    memories: Mapping[str, Memory],
    busy: frozenset[str],
    now: datetime,
    counts: Mapping[str, Counts] = MappingProxyType({}),
    limits: Mapping[str, DeadLetterLimit] = MappingProxyType({}),
    failures: Mapping[str, str] = MappingProxyType({}),
    declared: Mapping[str, str] = MappingProxyType({}),
    restarts: Mapping[str, Restarts] = MappingProxyType({}),
) -> tuple[Assessment, ...]:
    """Assess each route that was ever deployed, or has a job that runs.

    Args:
        statuses: of one sweep.
        memories: by route, of the tick before.
        busy: routes that a queued or running run is redeploying already.
        now: the time, UTC.
        counts: what the jobs of some routes have counted.
        limits: by route, how many of its events may die; where none is named, the default.
        failures: by route, why its changed plan fails its gate.
        declared: by route, the digest of its declared plan.
        restarts: how often the jobs of some routes were restarted.
    """
    return tuple(
        _assess(
            status,
            memories.get(status.route),
            status.route in busy,
            now,
            _window(status, memories.get(status.route), counts.get(status.route)),
            limits.get(status.route, DEFAULT_LIMIT),
            failures.get(status.route, ""),
            declared.get(status.route),
            _restart_window(status, memories.get(status.route), restarts.get(status.route)),
        )
        for status in statuses
        if status.last is not None or status.strays
    )


def _window(status: RouteStatus, memory: Memory | None, counts: Counts | None) -> Window | None:
    """Return the window of the job that runs; None when it was never counted."""
    before = memory.window if memory and status.job and memory.window else None
    if status.job is None or (before and before.job_id != status.job.job_id):
        before = None
    if status.job is None or counts is None:
        return before
    return advance(before, status.job.job_id, status.job.started, counts)


def _restart_window(status: RouteStatus, memory: Memory | None, found: Restarts | None) -> RestartWindow | None:
    """Return the window of the job that runs; None when it was never asked for."""
    before = memory.restarts if memory else None
    if status.job is None or (before and before.job_id != status.job.job_id):
        before = None
    if status.job is None or found is None:
        return before
    return watch(before, status.job.job_id, status.job.started, found)


def _assess(
    status: RouteStatus,
    memory: Memory | None,
    busy: bool,
    now: datetime,
    window: Window | None,
    limit: DeadLetterLimit,
    failure: str,
    declared: str | None,
    restarts: RestartWindow | None,
) -> Assessment:
    epoch = status.last.epoch if status.last else 0
    since = memory.since if memory and memory.state is status.state else now
    open_incident, replaced = memory.incident if memory else None, _is_being_replaced(status, now)
    incident = open_incident if replaced else track(open_incident, status.state, epoch, now - since)
    gate = memory.gate if memory else None
    asked = ask(gate, epoch, now) if failure and not busy else None
    taken_back = bool(failure) and (asked is not None or not has_given_up(gate, epoch))
    due = None if busy or taken_back or replaced else attempt(incident, status.state, now)
    share = share_of(window) if window and status.state is Lifecycle.RUNNING else None
    dying = share is not None and exceeds(share, limit)
    report = None if replaced else _report(status, due or incident, now - since, restarts)
    report = _dying(status.route, limit) if dying else report
    if taken_back:
        report = Report(passed=False, given_up=False, text=f"{failure}: going back to the plan before")
    elif status.strays:
        report = Report(passed=False, given_up=False, text="; ".join(map(str, status.strays)))
    elif report and report.passed and status.last and _is_held(status.last, declared):
        report = _HELD
    pause = f"{share}, more than {limit.max_ratio:.1%}" if dying and limit.on_exceed == "pause" and not busy else None
    mark = f"{status.state}/{epoch}/{report.text}" if report else None
    fresh = Memory(
        state=status.state,
        epoch=epoch,
        since=since,
        incident=due or incident,
        window=window,
        gate=asked or gate,
        restarts=restarts,
        reported=memory.reported if memory else None,
        reported_at=memory.reported_at if memory else None,
    )
    told = fresh.reported == mark and fresh.reported_at is not None and now - fresh.reported_at < HEARTBEAT
    if report is None or told:
        return Assessment(status, fresh, None, due, pause, share, failure if asked else None)
    told_now = fresh.model_copy(update={"reported": mark, "reported_at": now})
    return Assessment(status, told_now, report, due, pause, share, failure if asked else None)


_HELD = Report(
    passed=False,
    given_up=False,
    text="it runs, by an earlier plan: what is declared was rolled back and is not tried again until the YAML changes",
)


def _is_being_replaced(status: RouteStatus, now: datetime) -> bool:
    """Whether whoever ended it is about to start its successor; after a while he counts as dead."""
    ended = status.last.ended_at if status.last else None
    return status.state is Lifecycle.REPLACING and ended is not None and now - ended < ACT_TIMEOUT


def _is_held(last: Deployment, declared: str | None) -> bool:
    return last.is_open and last.cause is Cause.ROLLBACK and declared not in (None, last.plan.digest)


def _dying(route: str, limit: DeadLetterLimit) -> Report:
    more = f"more than {limit.max_ratio:.1%} of the events of the last minutes died"
    return Report(passed=False, given_up=False, text=f"{more}: keystone dlq show {route.split('.', 1)[0]}")


def _report(
    status: RouteStatus, incident: Incident | None, lasted: timedelta, restarts: RestartWindow | None
) -> Report | None:
    state = status.state
    if restarts and restarts.is_loop and state in (Lifecycle.RUNNING, Lifecycle.UNSETTLED):
        text = f"it starts again and again: {restarts.latest.failure or 'Flink names no exception'}"
        return Report(passed=False, given_up=False, text=text)
    if state is Lifecycle.RUNNING:
        return Report(passed=True, given_up=False, text="every subtask runs")
    if state is Lifecycle.STOPPED:
        why = status.last.note if status.last else ""
        return Report(passed=True, given_up=False, text=f"stopped on purpose ({why})" if why else "stopped on purpose")
    if state is Lifecycle.PAUSED:
        why = status.last.note if status.last else ""
        stream = status.route.split(".", 1)[0]
        mend = f"look (keystone dlq show {stream}), mend, and apply it again (keystone apply {status.route})"
        return Report(passed=False, given_up=True, text=f"paused: {why}; {mend}")
    if not state.needs_redeploy:
        text = f"it does not run whole for more than {GRACE.seconds // 60} minutes ({state})"
        return Report(passed=False, given_up=False, text=text) if lasted >= GRACE else None
    attempts = incident.attempts if incident else 0
    if incident and incident.given_up:
        text = f"it is down ({state}); {attempts} redeploys did not mend it: a person is needed"
        return Report(passed=False, given_up=True, text=text)
    return Report(passed=False, given_up=False, text=f"it is down ({state}); redeploy {attempts} of {MAX_ATTEMPTS}")
