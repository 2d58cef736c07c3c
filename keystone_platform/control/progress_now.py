"""How routers get on at this moment, for who asks: nothing is remembered of before, so no direction is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.measure import measure
from keystone_platform.control.progress import judge
from keystone_platform.control.report import Report
from keystone_platform.control.sweep import RouteStatus
from keystone_platform.plan.figures import Figures, figures_of
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.spec.models import DEFAULT_HEALTH

PATIENCE = timedelta(seconds=15)
"""Who asks waits no longer; what was not measured by then is not told."""


@dataclass(frozen=True)
class ProgressNow:
    """A router as measured just now.

    Attributes:
        report: None where it does not run whole.
        failure: why its job was restarted last; empty when it never was.
    """

    figures: Figures
    report: Report | None
    failure: str


def progress_now(
    gateways: Gateways, statuses: Sequence[RouteStatus], max_lag_s: Mapping[str, int]
) -> dict[str, ProgressNow]:
    """Return by route how it gets on; one that has no job, or whose job does not answer in time, is left out.

    Blocks for PATIENCE at most, and for two requests to Kafka where a source looks held up.
    """
    found = measure(gateways, statuses, {}, most=len(statuses), budget=PATIENCE)
    now = gateways.clock.now()
    told = {}
    for status in statuses:
        measured = found.get(status.route)
        if measured is None or status.job is None:
            continue
        report = None
        if status.state is Lifecycle.RUNNING:
            limit = max_lag_s.get(status.route, DEFAULT_HEALTH.max_lag_s)
            report, _ = judge(status, measured, None, limit, status.job.started, now)
        told[status.route] = ProgressNow(figures_of(measured.progress, None, now), report, measured.failure)
    return told
