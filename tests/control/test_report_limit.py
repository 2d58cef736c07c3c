"""A fleet that has much to tell at once tells it over several ticks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from keystone_platform.control.health import assess
from keystone_platform.control.memory import Memory
from keystone_platform.control.report_limit import limit_reports
from keystone_platform.control.sweep import RouteStatus
from keystone_platform.plan.deployment import Cause, Deployment, Outcome
from keystone_platform.plan.lifecycle import Lifecycle
from tests.control.fakes import a_plan

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def status(route: str, state: Lifecycle = Lifecycle.RUNNING) -> RouteStatus:
    last = Deployment(
        route, 1, "0" * 32, a_plan(route), Cause.DEPLOY, None, NOW - timedelta(hours=1), outcome=Outcome.SUBMITTED
    )
    return RouteStatus(route, state, last, None)


def test_every_route_is_told_in_the_end_and_bad_news_goes_first() -> None:
    statuses = [status(f"s{number}.warehouse") for number in range(9)]
    statuses.append(status("down.warehouse", Lifecycle.GONE))
    memories: dict[str, Memory] = {}
    told: list[list[str]] = []
    for tick in range(5):
        now = NOW + timedelta(seconds=10 * tick)
        limited = limit_reports(assess(statuses, memories, frozenset({"down.warehouse"}), now), memories, most=4)
        memories = {item.status.route: item.memory for item in limited}
        told.append([item.status.route for item in limited if item.report])
    assert [len(routes) for routes in told] == [4, 4, 2, 0, 0]
    assert "down.warehouse" in told[0]
    assert len({route for routes in told for route in routes}) == 10


def test_a_redeploy_is_asked_for_although_its_report_has_to_wait() -> None:
    statuses = [status(f"s{number}.warehouse", Lifecycle.GONE) for number in range(5)]
    limited = limit_reports(assess(statuses, {}, frozenset(), NOW), {}, most=2)
    assert sum(item.report is not None for item in limited) == 2
    assert all(item.attempt for item in limited)
