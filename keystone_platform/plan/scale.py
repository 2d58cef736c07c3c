"""With how many subtasks a route runs whose parallelism the platform chooses: what it chose last is in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from keystone_platform.plan.autoscale_decision import Change
from keystone_platform.plan.deployment import Deployment, Outcome
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.spec.models import AutoscaleSpec

REMEMBERED = timedelta(days=1)
"""Changes that are older are of no account."""


def scaled(plan: RouterPlan, parallelism: int) -> RouterPlan:
    """Return the plan with so many subtasks."""
    return plan.model_copy(update={"parallelism": parallelism})


def at_its_scale(plan: RouterPlan, bounds: AutoscaleSpec | None, last: Deployment | None) -> RouterPlan:
    """Return the declared plan with the subtasks that the route had last, within its bounds.

    It is as declared where the platform does not choose, or has not begun to.
    """
    if bounds is None or bounds.mode != "act" or last is None:
        return plan
    return scaled(plan, min(max(last.plan.parallelism, bounds.min), bounds.max))


def changes_of(
    history: Sequence[Deployment], now: datetime, known: Sequence[Change] = (), rate_before: float | None = None
) -> tuple[Change, ...]:
    """Return the changes of the parallelism within REMEMBERED, oldest first.

    Args:
        history: the route's deployments, newest first.
        now: the time, UTC.
        known: changes that were returned before, with the rates that were measured then.
        rate_before: events/s that the router could do before the newest change, if that one is not known yet.
    """
    rates = {change.at: change.rate_before for change in known}
    taken = [each for each in history if each.outcome is Outcome.SUBMITTED and each.outcome_at]
    return tuple(
        Change(
            at=after.outcome_at,
            before=before.plan.parallelism,
            after=after.plan.parallelism,
            rate_before=rates.get(after.outcome_at, rate_before),
        )
        for before, after in pairwise(reversed(taken))
        if after.outcome_at
        and now - after.outcome_at < REMEMBERED
        and before.plan.parallelism != after.plan.parallelism
    )
