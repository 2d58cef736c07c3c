"""What became of replayed events: counted independently of the router, as the audit does."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from keystone_platform.audit.truth import RouteAudit, RouteTruth
from keystone_platform.gateways.clock import Clock
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.settings import Settings

STALL_S = 120.0
"""Waiting ends when nothing has come for so long."""

_LOOK_S = 1.0


def await_ends(
    settings: Settings, plan: RouterPlan, begin: Mapping[int, int], clock: Clock, tell: Callable[[int], None]
) -> RouteTruth:
    """Return what became of the route's replayed events from `begin` on, once nothing is missing or nothing more comes.

    `tell` is told how many are still missing. Raises what RouteAudit raises.
    """
    topic = plan.source.topics[-1]
    audit = RouteAudit(settings, plan, {topic: begin}, topics=[topic])
    audit.catch_up()
    missing, changed_at = audit.truth().lost, clock.now().timestamp()
    while missing and clock.now().timestamp() - changed_at < STALL_S:
        tell(missing)
        clock.sleep(_LOOK_S)
        now = audit.truth().lost
        if now != missing:
            missing, changed_at = now, clock.now().timestamp()
    return audit.truth()
