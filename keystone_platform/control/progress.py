"""What is said of a router's progress: by the health sensor, by a check that a person asks for, by `keystone status`.

No effect in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keystone_platform.control.memory import HEARTBEAT, STALLED_HEARTBEAT, Memory, Told
from keystone_platform.control.report import Report
from keystone_platform.control.sweep import RouteStatus
from keystone_platform.plan.figures import Figures, figures_of
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.plan.progress import Measurement
from keystone_platform.plan.stall import Judged, find_stalls
from keystone_platform.plan.trail import Trail, follow

_STOPPED, _WELL = "nothing runs", "it gets on"
"""Marks of reports that found nothing wrong."""


@dataclass(frozen=True)
class GettingOn:
    """How a router gets on.

    Attributes:
        trail: to be remembered.
        stalled: it does not get on; as before where it was not measured.
        measured_at: to be remembered.
        told: to be remembered.
        report: to be written now; None when there is nothing new.
        figures: of this tick; None where it was not measured.
    """

    trail: Trail | None
    stalled: bool
    measured_at: datetime | None
    told: Told | None
    report: Report | None = None
    figures: Figures | None = None


def assess_progress(
    status: RouteStatus,
    memory: Memory | None,
    measured: Measurement | None,
    max_lag_s: int,
    since: datetime,
    now: datetime,
) -> GettingOn:
    """Assess a route that was deployed.

    Only a router that runs whole can stand still: one that does not is told of as not running, and what was told of
    its progress is taken back when it was stopped on purpose.

    Args:
        status: of this tick's sweep.
        memory: of the tick before.
        measured: None where its turn did not come or its job did not answer.
        max_lag_s: seconds that it may be behind.
        since: since when it is in its state.
        now: the time, UTC.
    """
    told = memory.told_progress if memory else None
    if status.state in (Lifecycle.STOPPED, Lifecycle.PAUSED):
        if told is None or told.mark == _STOPPED:
            return GettingOn(None, False, None, told)
        report = Report(passed=True, given_up=False, text=f"nothing runs ({status.state})")
        return GettingOn(None, False, None, Told(mark=_STOPPED, at=now), report)
    job_id = status.job.job_id if status.job else ""
    trail = memory.trail if memory and memory.trail and memory.trail.job_id == job_id else None
    if measured is None:
        return GettingOn(trail, bool(memory and memory.stalled), memory.measured_at if memory else None, told)
    at = measured.progress.at
    trail = follow(trail, job_id, measured.progress, measured.ends)
    figures = figures_of(measured.progress, trail, now)
    if status.state is not Lifecycle.RUNNING:
        return GettingOn(trail, False, at, told, None, figures)
    report, kind = judge(status, measured, trail, max_lag_s, since, now)
    mark = f"{status.last.epoch if status.last else 0}/{kind}"  # a deployment evaluates the check too
    if told and not told.is_due(mark, now, HEARTBEAT if report.passed else STALLED_HEARTBEAT):
        return GettingOn(trail, not report.passed, at, told, None, figures)
    return GettingOn(trail, not report.passed, at, Told(mark=mark, at=now), report, figures)


def judge(
    status: RouteStatus, measured: Measurement, trail: Trail | None, max_lag_s: int, since: datetime, now: datetime
) -> tuple[Report, str]:
    """Return the report of a router that runs, and what it comes to without the numbers, which change all the time.

    Args:
        status: of a deployed route.
        measured: its job.
        trail: what is remembered of its measurements, this one included; without it no direction is known.
        max_lag_s: seconds that it may be behind.
        since: since when all of it runs.
        now: the time, UTC.
    """
    interval_s = status.last.plan.checkpoint_interval_s if status.last else 0
    found = find_stalls(Judged(measured.progress, trail, interval_s, max_lag_s, since, now))
    if not found:
        return Report(passed=True, given_up=False, text=str(figures_of(measured.progress, trail, now))), _WELL
    text = "; ".join(finding.text for finding in found)
    is_error = any(finding.is_error for finding in found)
    return Report(passed=False, given_up=is_error, text=text), "/".join(finding.kind for finding in found)
