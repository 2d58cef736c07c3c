"""Which plan a rollback goes back to, and which plan is not tried again after one: pure, over a route's history.

A history is newest first, as the ledger gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.deployment import Cause, Deployment, Outcome
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.plan.scale import scaled


def held_back(goal: RouterPlan, history: Sequence[Deployment], *, any_scale: bool = False) -> Deployment | None:
    """Return the deployment of the goal's plan that was rolled back, as long as that plan is not to be tried again.

    That is until the goal is another plan: what was rolled back once would only fail once more.

    Args:
        goal: what is declared.
        history: newest first.
        any_scale: the parallelism is nobody's wish, but the autoscaler's: with another one it is the same plan.
    """
    given_up = _given_up(goal, history, lambda plan: plan.digest)
    if given_up is None and any_scale:
        return _given_up(goal, history, lambda plan: scaled(plan, 1).digest)
    return given_up


def _given_up(
    goal: RouterPlan, history: Sequence[Deployment], identity: Callable[[RouterPlan], str]
) -> Deployment | None:
    current = identity(history[0].plan) if history else ""
    for after, before in pairwise(history):
        if identity(before.plan) != current:
            return before if after.cause is Cause.ROLLBACK and identity(before.plan) == identity(goal) else None
    return None


def rollback_target(history: Sequence[Deployment], to: int | None = None) -> Deployment:
    """Return the deployment whose plan a rollback brings back.

    Without `to` the newest of another plan that ran well, which is known of those that ended with a savepoint, and that
    was not itself rolled back; with `to` the one of that epoch.

    Raises:
        InvalidSpec: there is none, or the cluster never took it.
    """
    taken = [each for each in history if each.outcome is Outcome.SUBMITTED]
    if to is not None:
        found = next((each for each in taken if each.epoch == to), None)
    else:
        bad = {history[0].plan.digest, *_rolled_back(history)} if history else set()
        found = next((each for each in taken if each.savepoint and each.plan.digest not in bad), None)
    if found is None:
        what = "no other plan of it is known to have run well" if to is None else f"epoch {to} never ran"
        message = f"{history[0].route}: {what}" if history else "it was never deployed"
        epochs = ", ".join(f"{each.epoch} ({each.cause})" for each in taken[:_TOLD])
        raise InvalidSpec(message, mend=f"Name one: --to EPOCH. Ran did: {epochs or 'none'}.")
    return found


_TOLD = 20


def _rolled_back(history: Sequence[Deployment]) -> Iterator[str]:
    for after, before in pairwise(history):
        if after.cause is Cause.ROLLBACK and after.plan.digest != before.plan.digest:
            yield before.plan.digest
