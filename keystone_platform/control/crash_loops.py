"""Asks the cluster how often each router was restarted: a few routers at each tick, so that a tick ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.health import Memory
from keystone_platform.control.sweep import RouteStatus
from keystone_platform.errors import KeystoneError
from keystone_platform.plan.crash_loop import Restarts
from keystone_platform.plan.lifecycle import Lifecycle

ASKED_PER_TICK = 50
"""Routers that are asked at one tick, a request each; the others' turn comes at the next ones."""

BUDGET = timedelta(seconds=10)
"""No other router is asked after that."""

_NEVER = datetime.min.replace(tzinfo=UTC)


def find_restarts(
    gateways: Gateways, statuses: Sequence[RouteStatus], memories: Mapping[str, Memory]
) -> dict[str, Restarts]:
    """Return by route how often the jobs of some routers were restarted.

    Those that do not run whole now come first, as what becomes of them depends on it; then what was asked longest ago.

    Why is asked for only where there were more. A cluster that does not answer ends the tick's asking.
    """
    began = gateways.clock.now()
    found: dict[str, Restarts] = {}
    alive = [status for status in statuses if status.state in (Lifecycle.RUNNING, Lifecycle.UNSETTLED)]
    for status in sorted(alive, key=lambda status: _turn(status, memories.get(status.route)))[:ASKED_PER_TICK]:
        if status.job is None or gateways.clock.now() - began > BUDGET:
            break
        memory = memories.get(status.route)
        before = memory.restarts.latest if memory and memory.restarts else None
        try:
            count = gateways.flink.restarts(status.job.job_id)
            known = before.failure if before and before.count == count else None
            failure = (gateways.flink.failure(status.job.job_id) or "") if count and known is None else known or ""
        except KeystoneError:
            break
        found[status.route] = Restarts(at=gateways.clock.now(), count=count, failure=failure)
    return found


def _turn(status: RouteStatus, memory: Memory | None) -> tuple[bool, datetime]:
    return status.state is Lifecycle.RUNNING, memory.restarts.latest.at if memory and memory.restarts else _NEVER
