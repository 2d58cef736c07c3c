"""Whether a changed plan that came up is to be taken back: a pure policy over the first minutes after it did.

The gate looks at the job only, as it is now: one that fell and runs again has passed so far. A job that is gone or was
cancelled says nothing about its plan.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.plan.observation import Job, JobState

WINDOW = timedelta(minutes=10)
"""How long after its submission a changed plan can be taken back."""

MAX_RESTARTS = 3
"""Restarts in the window after which a plan whose job is down once more has failed."""

ASK_AGAIN = timedelta(minutes=2)
"""A rollback that did not happen is asked for again after so long."""

MAX_ASKED = 3
"""Rollbacks that are asked for of one deployment; then the usual redeploys go on."""


class Gate(BaseModel):
    """What was asked for of a deployment that failed its gate; kept in the sensor's cursor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    asked: int = 0
    asked_at: datetime | None = None


def in_window(last: Deployment, now: datetime) -> bool:
    """Whether the deployment runs a changed plan that has not proven itself yet."""
    return last.cause.is_change and last.is_open and last.outcome_at is not None and now - last.outcome_at < WINDOW


def failure(last: Deployment, job: Job | None, restarts: int, now: datetime) -> str:
    """Return why the deployment fails its gate, for people; empty when it does not.

    Args:
        last: the route's newest deployment.
        job: its job, as the cluster says.
        restarts: how often Flink has restarted it.
        now: the time, UTC.
    """
    if job is None or last.outcome_at is None or not in_window(last, now):
        return ""
    age = f"within {(now - last.outcome_at).total_seconds():.0f} s of the {last.cause}"
    if job.state is JobState.FAILED:
        return f"its job failed {age}"
    if job.is_running or job.state.is_terminal or restarts < MAX_RESTARTS:
        return ""
    return f"its job restarted {restarts} times {age}"


def servers_are_to_blame(others: Collection[Lifecycle]) -> bool:
    """Whether so many of the other routers are down too that it can't be the plan.

    Args:
        others: states of all other routers, without those that were down before the plan was changed.
    """
    down = sum(state.needs_redeploy or state is Lifecycle.UNSETTLED for state in others)
    return down > sum(state is Lifecycle.RUNNING for state in others)


def ask(gate: Gate | None, epoch: int, now: datetime) -> Gate | None:
    """Return the gate with one more rollback asked for when that is due now, else None."""
    gate = gate if gate and gate.epoch == epoch else Gate(epoch=epoch)
    if gate.asked >= MAX_ASKED or (gate.asked_at is not None and now - gate.asked_at < ASK_AGAIN):
        return None
    return gate.model_copy(update={"asked": gate.asked + 1, "asked_at": now})


def has_given_up(gate: Gate | None, epoch: int) -> bool:
    """Whether all rollbacks of the deployment were asked for."""
    return gate is not None and gate.epoch == epoch and gate.asked >= MAX_ASKED
