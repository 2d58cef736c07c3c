"""How many of a cluster's slots the routers of one owner may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from keystone_platform.plan.router_plan import RouterPlan

EVERYBODY = "*"
"""Stands for each owner that has no quota of its own."""


@dataclass(frozen=True)
class SlotQuotas:
    """Slots by owner; an owner without an entry, where there is none for `*` either, has no bound."""

    by_owner: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, owner: str) -> int | None:
        """Return the owner's quota; None for no bound."""
        return self.by_owner.get(owner, self.by_owner.get(EVERYBODY))

    def excess(self, plan: RouterPlan, before: int, running: Mapping[str, RouterPlan]) -> str:
        """Return why the plan must not be started, in words; empty when it may.

        What a router has already it may have again: a quota that was lowered takes down nothing, also not what failed
        and comes back.

        Args:
            plan: what is to be started.
            before: slots that its router has, or had when it went down by itself.
            running: the plans that run or should run now, by route.
        """
        quota = self.of(plan.owner)
        if quota is None or plan.parallelism <= before:
            return ""
        others = sum(
            each.parallelism for route, each in running.items() if each.owner == plan.owner and route != plan.route
        )
        if others + plan.parallelism <= quota:
            return ""
        return f"{plan.owner} may have {quota} slots, and its other routers have {others}; it needs {plan.parallelism}"


UNBOUNDED = SlotQuotas()
"""Nobody has a quota."""
