"""What the health sensor says and asks for, computed from one sweep and what it remembers: no effect in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from keystone_platform.control.memory import Memory, Told
from keystone_platform.control.progress import assess_progress
from keystone_platform.control.report import Report
from keystone_platform.control.sweep import RouteStatus
from keystone_platform.plan.crash_loop import Restarts, RestartWindow, watch
from keystone_platform.plan.dead_letter_share import Counts, Share, Window, advance, exceeds, share_of
from keystone_platform.plan.deployment import Cause, Deployment
from keystone_platform.plan.figures import Figures
from keystone_platform.plan.gate import ask, has_given_up
from keystone_platform.plan.healing import MAX_ATTEMPTS, Incident, attempt, track
from keystone_platform.plan.lifecycle import ACT_TIMEOUT, Lifecycle
from keystone_platform.plan.progress import Measurement
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.plan.scale import at_its_scale
from keystone_platform.spec.models import DEFAULT_HEALTH, DEFAULT_LIMIT, AutoscaleSpec, DeadLetterLimit

GRACE = timedelta(minutes=2)
"""How long a router may start or restart before that is reported as unhealthy."""

_SILENT = (Lifecycle.ABANDONED, Lifecycle.REPLACING)
"""Who acted last counts as dead, so a run that is at it by Dagster's word may have died unseen and holds nobody up."""


@dataclass(frozen=True)
class Expected:
    """What a route is measured against.

    Attributes:
        limit: how many of its events may die.
        max_lag_s: seconds that it may be behind.
        plan: as declared; None where no file declares it.
        autoscale: bounds within which the platform chooses its parallelism.
    """

    limit: DeadLetterLimit = DEFAULT_LIMIT
    max_lag_s: int = DEFAULT_HEALTH.max_lag_s
    plan: RouterPlan | None = None
    autoscale: AutoscaleSpec | None = None


@dataclass(frozen=True)
class Assessment:
    """What one tick comes to for one route.

    Attributes:
        report: to be written now; None when nothing changed.
        attempt: set when a redeploy is to be asked for now.
        pause: why a pause is to be asked for now; None when it is not.
        rollback: why a rollback is to be asked for now; None when it is not.
        share: what died in the window; None when nobody counted.
        progress: to be written now of how it gets on; None when there is nothing new.
        figures: of its progress; None where it was not measured at this tick.
    """

    status: RouteStatus
    memory: Memory
    report: Report | None
    attempt: Incident | None
    pause: str | None = None
    share: Share | None = None
    rollback: str | None = None
    progress: Report | None = None
    figures: Figures | None = None


def assess(
    statuses: Sequence[RouteStatus],
    memories: Mapping[str, Memory],
    busy: frozenset[str],
    now: datetime,
    found: Mapping[str, Measurement] = MappingProxyType({}),
    expected: Mapping[str, Expected] = MappingProxyType({}),
    failures: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Assessment, ...]:
    """Assess each route that was ever deployed, or has a job that runs.

    Args:
        statuses: of one sweep.
        memories: by route, of the tick before.
        busy: routes that a queued or running run is redeploying already.
        now: the time, UTC.
        found: what was measured of the jobs of some routes.
        expected: by route; where none is named, the defaults.
        failures: by route, why its changed plan fails its gate.
    """
    return tuple(
        _assess(
            status,
            memories.get(status.route),
            status.route in busy,
            now,
            found.get(status.route),
            expected.get(status.route, _DEFAULTS),
            failures.get(status.route, ""),
        )
        for status in statuses
        if status.last is not None or status.strays
    )


_DEFAULTS = Expected()


def _window(status: RouteStatus, memory: Memory | None, found: Measurement | None) -> Window | None:
    """Return the window of the job that runs; None when it was never counted."""
    before = memory.window if memory and status.job and memory.window else None
    if status.job is None or (before and before.job_id != status.job.job_id):
        before = None
    progress = found.progress if found else None
    if status.job is None or progress is None or progress.reading is None or progress.dead is None:
        return before
    counts = Counts(at=progress.at, events=progress.reading.events, dead=progress.dead)
    return advance(before, status.job.job_id, status.job.started, counts)


def _restart_window(status: RouteStatus, memory: Memory | None, found: Measurement | None) -> RestartWindow | None:
    """Return the window of the job that runs; None when it was never asked for."""
    before = memory.restarts if memory else None
    if status.job is None or (before and before.job_id != status.job.job_id):
        before = None
    if status.job is None or found is None:
        return before
    restarts = Restarts(at=found.progress.at, count=found.progress.restarts, failure=found.failure)
    return watch(before, status.job.job_id, status.job.started, restarts)


def _assess(
    status: RouteStatus,
    memory: Memory | None,
    busy: bool,
    now: datetime,
    found: Measurement | None,
    expected: Expected,
    failure: str,
) -> Assessment:
    epoch = status.last.epoch if status.last else 0
    since = memory.since if memory and memory.state is status.state else now
    open_incident, replaced = memory.incident if memory else None, _is_being_replaced(status, now)
    incident = open_incident if replaced else track(open_incident, status.state, epoch, now - since)
    gate = memory.gate if memory else None
    asked = ask(gate, epoch, now) if failure and not busy else None
    taken_back = bool(failure) and (asked is not None or not has_given_up(gate, epoch))
    held_up = busy and status.state not in _SILENT
    due = None if held_up or taken_back or replaced else attempt(incident, status.state, now)
    window, restarts = _window(status, memory, found), _restart_window(status, memory, found)
    share = share_of(window) if window and status.state is Lifecycle.RUNNING else None
    limit = expected.limit
    dying = share is not None and exceeds(share, limit)
    report = None if replaced else _report(status, due or incident, now - since, restarts)
    report = _dying(status.route, limit) if dying else report
    if taken_back:
        report = Report(passed=False, given_up=False, text=f"{failure}: going back to the plan before")
    elif status.strays:
        report = Report(passed=False, given_up=False, text="; ".join(map(str, status.strays)))
    elif report and report.passed and status.last and _is_held(status.last, expected):
        report = _HELD
    pause = f"{share}, more than {limit.max_ratio:.1%}" if dying and limit.on_exceed == "pause" and not busy else None
    told, report = _news(memory.told if memory else None, f"{status.state}/{epoch}", report, now)
    progress = assess_progress(status, memory, found, expected.max_lag_s, since, now)
    fresh = Memory(
        state=status.state,
        epoch=epoch,
        since=since,
        incident=due or incident,
        window=window,
        gate=asked or gate,
        restarts=restarts,
        trail=progress.trail,
        stalled=progress.stalled,
        measured_at=progress.measured_at,
        told=told,
        told_progress=progress.told,
    )
    rollback = failure if asked else None
    return Assessment(status, fresh, report, due, pause, share, rollback, progress.report, progress.figures)


def _news(told: Told | None, state: str, report: Report | None, now: datetime) -> tuple[Told | None, Report | None]:
    """Return what was told last, then, and the report if it is to be told now."""
    if report is None:
        return told, None
    mark = f"{state}/{report.text}"
    if told and not told.is_due(mark, now):
        return told, None
    return Told(mark=mark, at=now), report


_HELD = Report(
    passed=False,
    given_up=False,
    text="it runs, by an earlier plan: what is declared was rolled back and is not tried again until the YAML changes",
)


def _is_being_replaced(status: RouteStatus, now: datetime) -> bool:
    """Whether whoever ended it is about to start its successor; after a while he counts as dead."""
    ended = status.last.ended_at if status.last else None
    return status.state is Lifecycle.REPLACING and ended is not None and now - ended < ACT_TIMEOUT


def _is_held(last: Deployment, expected: Expected) -> bool:
    if not last.is_open or last.cause is not Cause.ROLLBACK or expected.plan is None:
        return False
    return at_its_scale(expected.plan, expected.autoscale, last).digest != last.plan.digest


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
