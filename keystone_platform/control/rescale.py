"""Gives a route another number of subtasks, for the autoscaler."""

from __future__ import annotations

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.goal import Goal, Progress, Verdict
from keystone_platform.control.reconcile import reconcile
from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.scale import scaled
from keystone_platform.spec.models import AutoscaleSpec


def rescale(
    gateways: Gateways,
    last: Deployment,
    bounds: AutoscaleSpec | None,
    parallelism: int,
    why: str,
    progress: Progress = lambda _route, _doing: None,
) -> Verdict:
    """Stop the router with a savepoint and start the same plan from there with so many subtasks.

    From then on it keeps them, whoever applies it, until the autoscaler chooses again or its bounds change. Blocks like
    `reconcile`.

    Raises:
        InvalidSpec: the route does not run, has no bounds within which anybody but its YAML chooses, or this is not
            within them.
        Transient: see `reconcile`.
    """
    if not last.is_open:
        message = f"{last.route} does not run ({last.end or last.outcome})"
        raise InvalidSpec(message, mend=f"Start it: keystone apply {last.route}")
    if bounds is None or bounds.mode != "act":
        message = f"{last.route}: its size is what its YAML says"
        raise InvalidSpec(message, mend="Set `parallelism` there, or `autoscale: {max: N, mode: act}`.")
    if not bounds.min <= parallelism <= bounds.max:
        message = f"{last.route}: {parallelism} subtasks are not within its bounds, {bounds.min} to {bounds.max}"
        raise InvalidSpec(message, mend="Change `autoscale` in its YAML.")
    goal = Goal(scaled(last.plan, parallelism), partitions=1, why=why)
    (verdict,) = reconcile(gateways, [goal], progress=progress)
    return verdict
