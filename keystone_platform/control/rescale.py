"""Gives a route another number of subtasks, for the autoscaler."""

from __future__ import annotations

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.reconcile import Goal, Progress, Verdict, reconcile
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.scale import scaled


def rescale(
    gateways: Gateways,
    last: Deployment,
    parallelism: int,
    why: str,
    progress: Progress = lambda _route, _doing: None,
) -> Verdict:
    """Stop the router with a savepoint and start the same plan from there with so many subtasks.

    From then on it keeps them, whoever applies it, until the autoscaler chooses again or its bounds change. Blocks like
    `reconcile`.
    """
    goal = Goal(scaled(last.plan, parallelism), partitions=1, why=why)
    (verdict,) = reconcile(gateways, [goal], progress=progress)
    return verdict
