"""Launches what a person would click in Dagster's UI, and waits for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from rich.console import Console

from keystone_platform.errors import Terminal
from keystone_platform.gateways.clock import Clock
from keystone_platform.gateways.dagster_api import PLATFORM_LOCATION, WAREHOUSE_LOCATION, DagsterApi, RunStatus
from keystone_platform.plan.router_plan import RouterPlan

LOAD_TIMEOUT_S = 120.0
DEPLOY_TIMEOUT_S = 300.0
COMPACT_TIMEOUT_S = 300.0

_POLL_S = 1.0


def wait_until_loaded(dagster: DagsterApi, clock: Clock) -> None:
    """Block until both code locations are loaded; Terminal when one cannot be."""
    deadline = clock.now().timestamp() + LOAD_TIMEOUT_S
    while True:
        locations = {location.name: location for location in dagster.locations()}
        wanted = [locations.get(name) for name in (PLATFORM_LOCATION, WAREHOUSE_LOCATION)]
        if all(location and location.loaded for location in wanted):
            return
        errors = "; ".join(location.error for location in wanted if location and location.error)
        if errors or clock.now().timestamp() > deadline:
            message = f"Dagster has not loaded its code locations: {errors or 'no answer'}"
            raise Terminal(message, mend=f"See {dagster.url}/locations.")
        clock.sleep(_POLL_S)


def deploy(dagster: DagsterApi, plans: Sequence[RouterPlan], console: Console) -> None:
    """Materialise the routers in one run; returns when each of them runs."""
    from keystone_platform.defs.keys import router_key

    run = dagster.launch_assets(PLATFORM_LOCATION, [router_key(plan.route).path for plan in plans])
    console.print(f"  launched {dagster.run_url(run)}", markup=False, soft_wrap=True)
    _succeed(dagster, [run], DEPLOY_TIMEOUT_S)


def compact(dagster: DagsterApi, hours: Mapping[str, Collection[datetime]], console: Console) -> None:
    """Materialise the compacted hours of the routes, one run for each hour; returns when all have ended.

    Args:
        dagster: the webserver.
        hours: route to the starts of the hours to compact.
        console: where the runs are named.
    """
    from assets.keys import compacted_key
    from assets.routes import PARTITION_FORMAT

    runs = []
    for hour in sorted({hour for touched in hours.values() for hour in touched}):
        keys = [compacted_key(*route.split(".", 1)).path for route, touched in hours.items() if hour in touched]
        runs.append(dagster.launch_assets(WAREHOUSE_LOCATION, keys, hour.strftime(PARTITION_FORMAT)))
        launched = f"  launched {dagster.run_url(runs[-1])} for {hour:%Y-%m-%d %H}:00"
        console.print(launched, markup=False, soft_wrap=True)
    _succeed(dagster, runs, COMPACT_TIMEOUT_S)


def _succeed(dagster: DagsterApi, runs: Sequence[str], timeout_s: float) -> None:
    for run in runs:
        status = dagster.wait(run, timeout_s)
        if status is not RunStatus.SUCCESS:
            reasons = "\n".join(dagster.failures(run)) or "no reason given"
            message = f"Dagster run {run} ended as {status}: {reasons}"
            raise Terminal(message, mend=f"See {dagster.run_url(run)}.")
