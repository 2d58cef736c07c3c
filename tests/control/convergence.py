"""One route through the control loop, and plans to take it through."""

from __future__ import annotations

from keystone_platform.control.goal import Goal, Verdict
from keystone_platform.control.reconcile import reconcile
from keystone_platform.plan.decide import Request
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.router_plan import RouterPlan
from tests.control.fakes import World, a_plan

PLAN = a_plan()
CHANGED = PLAN.model_copy(update={"checkpoint_interval_s": 30})
RESCALED = a_plan(parallelism=2)


def converge(world: World, plan: RouterPlan = PLAN, request: Request = Request.CONVERGE) -> Verdict:
    """Take one plan, whose topic has four partitions, through the loop once."""
    (verdict,) = reconcile(world.gateways, [Goal(plan, 4)], request)
    return verdict


def deployed(verdict: Verdict) -> Deployment:
    """Return the deployment of a verdict that is good."""
    assert verdict.ok, verdict.message
    assert verdict.deployment is not None
    return verdict.deployment
