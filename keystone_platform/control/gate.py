"""Which of the plans that were changed a short while ago fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from keystone_platform.control.memory import Memory
from keystone_platform.control.sweep import RouteStatus
from keystone_platform.plan.gate import failure, servers_are_to_blame
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.plan.progress import Measurement


def failed_gates(
    statuses: Sequence[RouteStatus], memories: Mapping[str, Memory], found: Mapping[str, Measurement], now: datetime
) -> dict[str, str]:
    """Return by route why its changed plan is to be taken back."""
    failures = {
        status.route: failure(
            status.last, status.job, found[status.route].progress.restarts if status.route in found else 0, now
        )
        for status in statuses
        if status.last
    }
    return {route: why for route, why in failures.items() if why and not _is_one_of_many(route, statuses, memories)}


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
