"""How routers get on at this moment, for who asks: nothing is remembered of before, so no direction is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.measure import measure
from keystone_platform.control.progress import judge
from keystone_platform.control.report import Report
from keystone_platform.control.sweep import RouteStatus
from keystone_platform.errors import KeystoneError
from keystone_platform.plan.figures import Figures, figures_of
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.spec.models import DEFAULT_HEALTH

PATIENCE = timedelta(seconds=10)
"""Who asks waits no longer; what was not measured by then is not told."""

MOST_FAILURES = 20
"""Jobs that have ended whose exception is asked for, a request each."""


@dataclass(frozen=True)
class ProgressNow:
    """A router as measured just now.

    Attributes:
        figures: None where its job has ended.
        report: None where it does not run whole.
        failure: the first lines of its job's last exception; empty when it never had one.
    """

    figures: Figures | None = None
    report: Report | None = None
    failure: str = ""

    def __str__(self) -> str:
        told = [self.report.text if self.report else "", f"last exception: {self.failure}" if self.failure else ""]
        return "; ".join(filter(None, told))

    @property
    def passed(self) -> bool:
        """Whether nothing is known to be wrong."""
        return self.report is None or self.report.passed

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "passed": self.report.passed if self.report else None,
            "text": str(self),
            "failure": self.failure or None,
            **(asdict(self.figures) if self.figures else {}),
        }


def progress_now(
    gateways: Gateways, statuses: Sequence[RouteStatus], max_lag_s: Mapping[str, int]
) -> dict[str, ProgressNow]:
    """Return by route how it gets on; one that has no job, or whose job does not answer in time, is left out.

    Blocks for PATIENCE at most.
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
    return told | _failures(gateways, [each for each in statuses if each.state is Lifecycle.FAILED][:MOST_FAILURES])


def _failures(gateways: Gateways, failed: Sequence[RouteStatus]) -> dict[str, ProgressNow]:
    found: dict[str, ProgressNow] = {}
    for status in failed:
        try:
            failure = gateways.flink.failure(status.job.job_id) if status.job else None
        except KeystoneError:
            break
        if failure:
            found[status.route] = ProgressNow(failure=failure)
    return found
