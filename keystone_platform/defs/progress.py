"""The check that a router gets on: the health sensor evaluates it, and so does who asks for it in the UI."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

from collections.abc import Iterator, Mapping

import dagster as dg

from keystone_platform.control.goal import Goal
from keystone_platform.control.progress_now import ProgressNow, progress_now
from keystone_platform.control.report import Report
from keystone_platform.control.sweep import RouteStatus, sweep
from keystone_platform.defs import keys
from keystone_platform.defs.resource import KeystoneResource
from keystone_platform.plan.lifecycle import Lifecycle


def progress_checks(goals: Mapping[str, Goal]) -> dg.AssetChecksDefinition:
    """Return the checks of these routes as one definition."""
    routes = {keys.router_key(route): route for route in goals}
    limits = {route: goal.health.max_lag_s for route, goal in goals.items()}

    @dg.multi_asset_check(name="router_progress", specs=[_spec(router) for router in routes], can_subset=True)
    def router_progress(
        context: dg.AssetCheckExecutionContext, keystone: KeystoneResource
    ) -> Iterator[dg.AssetCheckResult]:
        gateways = keystone.gateways()
        statuses = sweep(gateways, [routes[each.asset_key] for each in context.selected_asset_check_keys])
        found = progress_now(gateways, statuses, limits)
        yield from (_result(status, found.get(status.route)) for status in statuses)

    return router_progress


def _result(status: RouteStatus, found: ProgressNow | None) -> dg.AssetCheckResult:
    report = found.report if found else None
    if report is None:
        on_purpose = status.state in (Lifecycle.ABSENT, Lifecycle.STOPPED, Lifecycle.PAUSED)
        text = f"nothing runs ({status.state})" if on_purpose else f"it could not be measured ({status.state})"
        report = Report(passed=on_purpose, given_up=False, text=text)
    return dg.AssetCheckResult(
        asset_key=keys.router_key(status.route),
        check_name=keys.PROGRESS_CHECK,
        passed=report.passed,
        severity=keys.severity(report),
        description=report.text,
        metadata=keys.figures_metadata(found.figures) if found and found.figures else {},
    )


def _spec(router: dg.AssetKey) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        keys.PROGRESS_CHECK,
        asset=router,
        description="Checkpoints and commits complete, it reads what there is, and it is not too far behind.",
    )
