"""Which of the plans that were changed a short while ago fail: asks the cluster about those only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.health import Memory
from keystone_platform.control.sweep import RouteStatus
from keystone_platform.errors import KeystoneError
from keystone_platform.plan.gate import failure, in_window, servers_are_to_blame
from keystone_platform.plan.lifecycle import Lifecycle

ASKED_PER_TICK = 50
"""Routers whose restarts are asked for at one tick, a request each."""


def count_restarts(gateways: Gateways, statuses: Sequence[RouteStatus], now: datetime) -> dict[str, int]:
    """Return by route how often Flink has restarted the jobs whose changed plan is in question now.

    A cluster that does not answer ends the asking.
    """
    asked = [
        status
        for status in statuses
        if status.last and status.state is Lifecycle.UNSETTLED and in_window(status.last, now)
    ]
    counted: dict[str, int] = {}
    for status in asked[:ASKED_PER_TICK]:
        try:
            counted[status.route] = gateways.flink.restarts(status.job.job_id) if status.job else 0
        except KeystoneError:
            break
    return counted


def failed_gates(
    statuses: Sequence[RouteStatus], memories: Mapping[str, Memory], restarts: Mapping[str, int], now: datetime
) -> dict[str, str]:
    """Return by route why its changed plan is to be taken back."""
    found = {
        status.route: failure(status.last, status.job, restarts.get(status.route, 0), now)
        for status in statuses
        if status.last
    }
    return {route: why for route, why in found.items() if why and not _is_one_of_many(route, statuses, memories)}


def _is_one_of_many(route: str, statuses: Sequence[RouteStatus], memories: Mapping[str, Memory]) -> bool:
    changed = next(status.last for status in statuses if status.route == route)
    since = changed.outcome_at if changed else None
    others = [
        status.state
        for status in statuses
        if status.route != route
        and (status.state is Lifecycle.RUNNING or _fell_after(memories.get(status.route), since))
    ]
    return servers_are_to_blame(others)


def _fell_after(memory: Memory | None, since: datetime | None) -> bool:
    return memory is None or since is None or memory.since >= since
