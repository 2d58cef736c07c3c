"""What to do about a route: a pure function of the goal, the ledger's last word and the cluster's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from keystone_platform.plan.change import ChangeKind, diff_plans
from keystone_platform.plan.deployment import Cause, Deployment
from keystone_platform.plan.lifecycle import Lifecycle, lifecycle
from keystone_platform.plan.observation import Job
from keystone_platform.plan.router_plan import RouterPlan


class Request(StrEnum):
    """What is asked for."""

    CONVERGE = "converge"
    """Run the goal's plan; a router that was stopped on purpose starts again."""
    RESTART = "restart"
    """Stop with a savepoint and start from it, also when the plan is the same."""
    ROLLBACK = "rollback"
    """Run the goal's plan, an earlier one, in place of what runs or should run now."""
    STOP = "stop"
    """Stop with a savepoint and stay stopped."""
    SUSPEND = "suspend"
    """The same, since the route is declared so."""
    PAUSE = "pause"
    """Stop with a savepoint what runs, since too many events die; what does not run is left alone."""


class Act(StrEnum):
    """The kinds of action."""

    NOTHING = "nothing"
    WAIT = "wait"
    """Somebody else is at it: acting now could make a second copy."""
    START = "start"
    """Start from the newest recovery point."""
    REPLACE = "replace"
    """Stop with a savepoint, then start from it."""
    STOP = "stop"
    """Stop with a savepoint."""
    PAUSE = "pause"
    """Stop with a savepoint, and remember why."""
    FORGET = "forget"
    """Nothing runs; record that it is to stay so."""


@dataclass(frozen=True)
class Action:
    """What to do and why, in words for people. `cause` is set iff a deployment comes of it."""

    act: Act
    why: str
    cause: Cause | None = None


def decide(
    goal: RouterPlan | None, request: Request, last: Deployment | None, job: Job | None, now: datetime
) -> Action:
    """Return the action that brings the route to what is asked for.

    Args:
        goal: the plan that shall run; may be None only with STOP and SUSPEND.
        request: what is asked for.
        last: the route's newest deployment.
        job: what the cluster says of `last.job_id`; None when it knows no such job.
        now: the time, UTC; it tells an act under way from an abandoned one.
    """
    state = lifecycle(last, job, now)
    if state in (Lifecycle.SUBMITTING, Lifecycle.STOPPING):
        return Action(Act.WAIT, f"somebody else is {state} it, or died while doing so")
    if request is Request.PAUSE:
        return _pause(state)
    if request in (Request.STOP, Request.SUSPEND) or goal is None:
        return _stop(state, "suspended in its YAML" if request is Request.SUSPEND else "stop was asked for")
    if request is Request.ROLLBACK and last and last.plan.digest != goal.digest:
        act = Act.REPLACE if state in (Lifecycle.RUNNING, Lifecycle.UNSETTLED) else Act.START
        return Action(act, "rollback was asked for", Cause.ROLLBACK)
    if state in (Lifecycle.RUNNING, Lifecycle.UNSETTLED) and last:
        return _keep_or_replace(goal, request, last)
    return _start_changed(state, goal, last) or _start(state)


def _pause(state: Lifecycle) -> Action:
    if state in (Lifecycle.RUNNING, Lifecycle.UNSETTLED):
        return Action(Act.PAUSE, "too many events die")
    return Action(Act.NOTHING, f"nothing runs ({state})")


def _stop(state: Lifecycle, why: str) -> Action:
    if state in (Lifecycle.RUNNING, Lifecycle.UNSETTLED):
        return Action(Act.STOP, why)
    nothing_runs = f"{why}, nothing runs ({state})"
    if state in (Lifecycle.ABSENT, Lifecycle.STOPPED, Lifecycle.PAUSED):
        return Action(Act.NOTHING, nothing_runs)
    return Action(Act.FORGET, nothing_runs)


def _keep_or_replace(goal: RouterPlan, request: Request, last: Deployment) -> Action:
    if last.plan.digest != goal.digest:
        why, cause = _changed(last.plan, goal)
        return Action(Act.REPLACE, why, cause)
    if request is Request.RESTART:
        return Action(Act.REPLACE, "restart was asked for", Cause.RESTART)
    return Action(Act.NOTHING, "it runs as planned")


def _changed(old: RouterPlan, new: RouterPlan) -> tuple[str, Cause]:
    change = diff_plans(old, new)
    if change.kind is ChangeKind.RESCALE:
        return f"rescale, {'; '.join(map(str, change.differences))}", Cause.RESCALE
    return "the plan changed", Cause.UPGRADE


def _start_changed(state: Lifecycle, goal: RouterPlan, last: Deployment | None) -> Action | None:
    """Return the start of a changed plan whose router is down; None when that is not what it is."""
    if last is None or state is Lifecycle.REFUSED or not state.needs_redeploy or last.plan.digest == goal.digest:
        return None
    why, cause = _changed(last.plan, goal)
    return Action(Act.START, f"{why}, and nothing runs ({state})", cause)


def _start(state: Lifecycle) -> Action:
    match state:
        case Lifecycle.ABSENT:
            return Action(Act.START, "it was never deployed", Cause.DEPLOY)
        case Lifecycle.STOPPED:
            return Action(Act.START, "it was stopped", Cause.DEPLOY)
        case Lifecycle.PAUSED:
            return Action(Act.START, "it was paused", Cause.DEPLOY)
        case Lifecycle.REFUSED:
            return Action(Act.START, "its last submission was refused", Cause.DEPLOY)
        case Lifecycle.REPLACING:
            return Action(Act.START, "its last replacement was not finished", Cause.REDEPLOY)
        case Lifecycle.FAILED:
            return Action(Act.START, "its job has failed or was cancelled", Cause.REDEPLOY)
        case _:
            return Action(Act.START, "the cluster knows no job of it", Cause.REDEPLOY)
