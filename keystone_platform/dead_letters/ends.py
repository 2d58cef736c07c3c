"""What became of replayed events: counted independently of the router, as the audit does."""

from __future__ import annotations

from collections.abc import Callable

from keystone_platform.audit.truth import RouteAudit, RouteTruth, Start
from keystone_platform.gateways.clock import Clock
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.settings import Settings

STALL_S = 120.0
"""Waiting ends when nothing has come for so long."""

_LOOK_S = 1.0


def await_ends(
    settings: Settings, plan: RouterPlan, begin: Start, clock: Clock, tell: Callable[[int], None]
) -> RouteTruth:
    """Return what became of the route's replayed events from `begin` on, once nothing is missing or nothing more comes.

    `begin` names the replay topics that are looked at, and where in their partitions.

    `tell` is told how many are still missing. Raises what RouteAudit raises.
    """
    audit = RouteAudit(settings, plan, begin, topics=[*begin])
    audit.catch_up()
    missing, changed_at = audit.truth().lost, clock.now().timestamp()
    while missing and clock.now().timestamp() - changed_at < STALL_S:
        tell(missing)
        clock.sleep(_LOOK_S)
        now = audit.truth().lost
        if now != missing:
            missing, changed_at = now, clock.now().timestamp()
    return audit.truth()
