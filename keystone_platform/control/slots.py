"""What the starts of one round may still take: the cluster's free slots, and what each owner's quota leaves."""

from __future__ import annotations

from collections.abc import Callable

from keystone_platform.control.gateways import Gateways
from keystone_platform.errors import Terminal
from keystone_platform.plan.decide import Act, Action
from keystone_platform.plan.deployment import Cause, Deployment
from keystone_platform.plan.router_plan import RouterPlan

SLOTS_PATIENCE_S = 30.0
"""How long to wait for slots: a TaskManager whose JobManager was started anew has its own back within seconds."""

_LOOK_AGAIN_S = 2.0


class SlotBudget:
    """Counts down as starts are granted, so that of many in one round only those are begun that there is room for."""

    def __init__(self, gateways: Gateways) -> None:
        """Ask the cluster and the ledger; raises Transient if one of them does not answer."""
        self._free = gateways.flink.cluster().slots_free
        self._quotas = gateways.slot_quotas
        self._running = {route: last.plan for route, last in gateways.ledger.latest().items() if last.is_open}

    def take(self, plan: RouterPlan, action: Action, last: Deployment | None) -> None:
        """Set the slots of a start aside.

        Raises:
            Terminal: there are too few; nothing is set aside.
        """
        had = last.plan.parallelism if last and (last.is_open or action.cause is Cause.REDEPLOY) else 0
        if excess := self._quotas.excess(plan, had, self._running):
            message = f"{plan.route}: {excess}"
            raise Terminal(
                message, mend="Stop a router, lower `parallelism`, or have `slot_quotas` of the settings raised."
            )
        freed = last.plan.parallelism if last and action.act is Act.REPLACE else 0
        if self._free + freed < plan.parallelism:
            message = f"{plan.route}: Flink has {self._free + freed} free slots for it, it needs {plan.parallelism}"
            mend = "Add TaskManagers or slots, stop a router, or lower `parallelism` in its YAML."
            raise Terminal(message, mend=mend)
        self._free += freed - plan.parallelism
        self._running[plan.route] = plan


def wait_for_slots(gateways: Gateways, wanted: int, tell: Callable[[str], None]) -> None:
    """Wait a while as long as fewer slots are free than wanted.

    Args:
        gateways: the cluster is asked.
        wanted: slots of routers that ran a while ago, so that the cluster had them.
        tell: is told that it is waited for.
    """
    deadline = gateways.clock.now().timestamp() + SLOTS_PATIENCE_S
    told = False
    while (free := gateways.flink.cluster().slots_free) < wanted and gateways.clock.now().timestamp() < deadline:
        if not told:
            tell(f"waiting for slots: {free} of {wanted} are free")
        told = True
        gateways.clock.sleep(_LOOK_AGAIN_S)
