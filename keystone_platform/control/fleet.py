"""Operations on many routes: in batches, and not further when too many have failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.goal import Goal, Progress, Refresh, Verdict
from keystone_platform.control.reconcile import reconcile
from keystone_platform.errors import KeystoneError, Terminal
from keystone_platform.plan.decide import Act, Action, Request

USUAL_BATCH = 10
"""Routes in a batch where a threshold is given and no size: without batches a threshold could stop nothing."""


@dataclass(frozen=True)
class Pace:
    """How an operation goes through a fleet.

    Attributes:
        batch: routes that are acted on at once, from one JVM; None: all.
        max_failures: no further batch is begun when more than so many routes have failed; None: all are.
    """

    batch: int | None = None
    max_failures: int | None = None

    def batches(self, goals: Sequence[Goal]) -> list[Sequence[Goal]]:
        """Return the goals in batches, in order."""
        size = self.batch or (len(goals) if self.max_failures is None else USUAL_BATCH)
        return [goals[start : start + size] for start in range(0, len(goals), max(size, 1))]

    def ends_after(self, failures: int) -> bool:
        """Whether so many failures are too many to go on."""
        return self.max_failures is not None and failures > self.max_failures


def reconcile_fleet(
    gateways: Gateways,
    goals: Sequence[Goal],
    request: Request,
    pace: Pace = Pace(),
    progress: Progress = lambda _route, _doing: None,
    refresh: Refresh = lambda goals: goals,
) -> tuple[Verdict, ...]:
    """Reconcile the goals batch by batch and return a verdict each, in their order.

    Raises:
        Transient: the cluster or the ledger did not answer at the first batch. At a later one the routes that are left
            get that error as their verdict, so that what was done is told.
    """
    done: list[Verdict] = []
    batches = pace.batches(goals)
    for number, batch in enumerate(batches, 1):
        failures = sum(not verdict.ok for verdict in done)
        if pace.ends_after(failures):
            left = len(goals) - len(done)
            message = f"not begun, since {failures} routes failed before it ({left} are left)"
            return (*done, *_none_begun(goals[len(done) :], Terminal(message, mend="Mend them, then run it again.")))
        if len(batches) > 1:
            progress(f"batch {number} of {len(batches)}", f"{len(batch)} routes, {failures} failed so far")
        try:
            done += reconcile(gateways, batch, request, progress, refresh)
        except KeystoneError as error:
            if not done:
                raise
            return (*done, *_none_begun(goals[len(done) :], error))
    return tuple(done)


def _none_begun(goals: Sequence[Goal], error: KeystoneError) -> list[Verdict]:
    return [Verdict(goal.route, Action(Act.NOTHING, "not begun"), None, error) for goal in goals]
