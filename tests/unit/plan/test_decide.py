"""What is decided about a route, case by case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keystone_platform.plan.decide import Act, Request, decide
from keystone_platform.plan.deployment import Cause, Deployment, End, Outcome
from keystone_platform.plan.lifecycle import ACT_TIMEOUT
from keystone_platform.plan.observation import Job, JobState
from keystone_platform.plan.router_plan import RouterPlan
from tests.control.fakes import a_plan

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)
PLAN = a_plan()
RESCALED = a_plan(parallelism=2)
CHANGED = PLAN.model_copy(update={"checkpoint_interval_s": 30})

INTENDED = Deployment(PLAN.route, 3, "j", PLAN, Cause.DEPLOY, None, LONG_AGO)
TAKEN = replace(INTENDED, outcome=Outcome.SUBMITTED, outcome_at=LONG_AGO)
STOPPED = replace(TAKEN, end=End.STOPPED, ended_at=LONG_AGO, savepoint="s3://s")
PAUSED = replace(STOPPED, end=End.PAUSED)
REPLACED = replace(STOPPED, end=End.REPLACED)
REFUSED = replace(INTENDED, outcome=Outcome.REFUSED)
INTENDED_NOW = replace(INTENDED, intended_at=NOW - ACT_TIMEOUT / 2)
STOPPING = replace(TAKEN, stop_intended_at=NOW - ACT_TIMEOUT / 2)
STOP_ABANDONED = replace(TAKEN, stop_intended_at=NOW - ACT_TIMEOUT)

RUNS = Job("j", PLAN.route, JobState.RUNNING, LONG_AGO, 3, 3)
STARTS = replace(RUNS, tasks_running=1)
RESTARTS = replace(RUNS, state=JobState.RESTARTING, tasks_running=0)
FAILED = replace(RUNS, state=JobState.FAILED, tasks_running=0)

CONVERGE, RESTART, STOP = Request.CONVERGE, Request.RESTART, Request.STOP
SUSPEND, PAUSE = Request.SUSPEND, Request.PAUSE

Case = tuple[RouterPlan | None, Request, Deployment | None, Job | None, Act, Cause | None]

CASES: dict[str, Case] = {
    "never deployed": (PLAN, CONVERGE, None, None, Act.START, Cause.DEPLOY),
    "runs as planned": (PLAN, CONVERGE, TAKEN, RUNS, Act.NOTHING, None),
    "restarts as planned": (PLAN, CONVERGE, TAKEN, RESTARTS, Act.NOTHING, None),
    "another plan": (CHANGED, CONVERGE, TAKEN, RUNS, Act.REPLACE, Cause.UPGRADE),
    "another plan of one that waits for slots": (CHANGED, CONVERGE, TAKEN, STARTS, Act.REPLACE, Cause.UPGRADE),
    "another parallelism": (RESCALED, CONVERGE, TAKEN, RUNS, Act.REPLACE, Cause.RESCALE),
    "another parallelism and a restart": (RESCALED, RESTART, TAKEN, RUNS, Act.REPLACE, Cause.RESCALE),
    "another parallelism of what failed": (RESCALED, CONVERGE, TAKEN, FAILED, Act.START, Cause.RESCALE),
    "another plan of what is gone": (CHANGED, CONVERGE, TAKEN, None, Act.START, Cause.UPGRADE),
    "another plan whose actor died after the stop": (CHANGED, CONVERGE, REPLACED, None, Act.START, Cause.UPGRADE),
    "another plan of what was stopped": (CHANGED, CONVERGE, STOPPED, None, Act.START, Cause.DEPLOY),
    "another plan after a refusal": (CHANGED, CONVERGE, REFUSED, None, Act.START, Cause.DEPLOY),
    "gone": (PLAN, CONVERGE, TAKEN, None, Act.START, Cause.REDEPLOY),
    "failed": (PLAN, CONVERGE, TAKEN, FAILED, Act.START, Cause.REDEPLOY),
    "nobody knows whether it was submitted, and it was not": (
        PLAN,
        CONVERGE,
        INTENDED,
        None,
        Act.START,
        Cause.REDEPLOY,
    ),
    "nobody knows whether it was submitted, and it was": (PLAN, CONVERGE, INTENDED, RUNS, Act.NOTHING, None),
    "is being submitted": (PLAN, CONVERGE, INTENDED_NOW, None, Act.WAIT, None),
    "is being stopped": (PLAN, CONVERGE, STOPPING, RUNS, Act.WAIT, None),
    "its stop was abandoned": (PLAN, CONVERGE, STOP_ABANDONED, RUNS, Act.NOTHING, None),
    "stopped": (PLAN, CONVERGE, STOPPED, None, Act.START, Cause.DEPLOY),
    "paused": (PLAN, CONVERGE, PAUSED, None, Act.START, Cause.DEPLOY),
    "restart": (PLAN, RESTART, TAKEN, RUNS, Act.REPLACE, Cause.RESTART),
    "restart of what is gone": (PLAN, RESTART, TAKEN, None, Act.START, Cause.REDEPLOY),
    "stop": (None, STOP, TAKEN, RUNS, Act.STOP, None),
    "stop of what restarts": (None, STOP, TAKEN, RESTARTS, Act.STOP, None),
    "stop of what failed": (None, STOP, TAKEN, FAILED, Act.FORGET, None),
    "stop of what is stopped": (None, STOP, STOPPED, None, Act.NOTHING, None),
    "stop of what was refused": (None, STOP, REFUSED, None, Act.FORGET, None),
    "suspended": (PLAN, SUSPEND, TAKEN, RUNS, Act.STOP, None),
    "suspended and failed": (PLAN, SUSPEND, TAKEN, FAILED, Act.FORGET, None),
    "suspended and stopped": (PLAN, SUSPEND, STOPPED, None, Act.NOTHING, None),
    "suspended and never deployed": (PLAN, SUSPEND, None, None, Act.NOTHING, None),
    "suspended while it is submitted": (PLAN, SUSPEND, INTENDED_NOW, None, Act.WAIT, None),
    "pause": (PLAN, PAUSE, TAKEN, RUNS, Act.PAUSE, None),
    "pause of what failed": (PLAN, PAUSE, TAKEN, FAILED, Act.NOTHING, None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_decided(case: Case) -> None:
    goal, request, last, job, act, cause = case
    action = decide(goal, request, last, job, NOW)
    assert (action.act, action.cause) == (act, cause)
    assert action.why
