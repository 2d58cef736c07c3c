"""Brings a route back to a plan that ran before."""

from __future__ import annotations

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.goal import Goal, Progress, Verdict
from keystone_platform.control.goals import deployed
from keystone_platform.control.reconcile import reconcile
from keystone_platform.plan.decide import Request
from keystone_platform.plan.rollback import rollback_target


def roll_back(
    gateways: Gateways,
    route: str,
    to: int | None = None,
    why: str = "",
    progress: Progress = lambda _route, _doing: None,
) -> Verdict:
    """Start the last good plan, or that of epoch `to`, where the router that runs now ends.

    It ends with a savepoint; where none can be made it is cancelled and its newest checkpoint counts. Until the YAML
    changes the plan that was left is not tried again. Blocks like `reconcile`.

    Raises:
        InvalidSpec: the route was never deployed, or no such plan is known.
        Transient: see `reconcile`.
    """
    deployed(gateways.ledger, [route])
    target = rollback_target(gateways.ledger.history(route), to)
    told = f"rolled back to the plan of epoch {target.epoch}"
    goal = Goal(target.plan, partitions=1, why=f"{told}: {why}" if why else told)
    (verdict,) = reconcile(gateways, [goal], Request.ROLLBACK, progress)
    return verdict
