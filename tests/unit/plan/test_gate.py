"""When a changed plan is taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keystone_platform.plan.deployment import Cause, Deployment, End, Outcome
from keystone_platform.plan.gate import (
    ASK_AGAIN,
    MAX_ASKED,
    MAX_RESTARTS,
    WINDOW,
    Gate,
    ask,
    failure,
    has_given_up,
    servers_are_to_blame,
)
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.plan.observation import Job, JobState
from tests.control.fakes import a_plan

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
FRESH = NOW - timedelta(minutes=1)
UPGRADED = Deployment(
    "playback.warehouse", 2, "j", a_plan(), Cause.UPGRADE, None, FRESH, outcome=Outcome.SUBMITTED, outcome_at=FRESH
)
RUNS = Job("j", "playback.warehouse", JobState.RUNNING, FRESH, 3, 3)
RESTARTS = replace(RUNS, state=JobState.RESTARTING, tasks_running=0)
FAILED = replace(RUNS, state=JobState.FAILED, tasks_running=0)

CASES = {
    "it failed": (UPGRADED, FAILED, 0, "its job failed within 60 s of the upgrade"),
    "it restarts again and again": (UPGRADED, RESTARTS, 3, "its job restarted 3 times within 60 s of the upgrade"),
    "a rescale": (replace(UPGRADED, cause=Cause.RESCALE), FAILED, 0, "its job failed within 60 s of the rescale"),
    "it restarts": (UPGRADED, RESTARTS, MAX_RESTARTS - 1, ""),
    "it restarted and runs": (UPGRADED, RUNS, 9, ""),
    "it is gone": (UPGRADED, None, 0, ""),
    "it was cancelled": (UPGRADED, replace(FAILED, state=JobState.CANCELED), 9, ""),
    "not a changed plan": (replace(UPGRADED, cause=Cause.REDEPLOY), FAILED, 9, ""),
    "a rollback is not rolled back": (replace(UPGRADED, cause=Cause.ROLLBACK), FAILED, 9, ""),
    "it has ended": (replace(UPGRADED, end=End.STOPPED), FAILED, 9, ""),
    "long ago": (replace(UPGRADED, outcome_at=NOW - WINDOW), FAILED, 9, ""),
    "not submitted yet": (replace(UPGRADED, outcome=None, outcome_at=None), FAILED, 9, ""),
}


@pytest.mark.parametrize(("last", "job", "restarts", "why"), CASES.values(), ids=CASES.keys())
def test_what_fails_the_gate(last: Deployment, job: Job | None, restarts: int, why: str) -> None:
    assert failure(last, job, restarts, NOW) == why


R, U, F, S = Lifecycle.RUNNING, Lifecycle.UNSETTLED, Lifecycle.FAILED, Lifecycle.STOPPED


@pytest.mark.parametrize(
    ("others", "blamed"),
    [((), False), ((R, R), False), ((R, U), False), ((R, U, F), True), ((U,), True), ((S, S), False)],
)
def test_servers_are_blamed_when_most_others_fell_too(others: tuple[Lifecycle, ...], blamed: bool) -> None:
    assert servers_are_to_blame(others) is blamed


def test_a_rollback_is_asked_for_a_few_times_and_not_at_every_tick() -> None:
    gate: Gate | None = None
    asked = 0
    for tick in range(100):
        due = ask(gate, 2, NOW + tick * ASK_AGAIN / 10)
        asked += due is not None
        gate = due or gate
    assert asked == MAX_ASKED
    assert has_given_up(gate, 2)
    assert not has_given_up(gate, 3)
    assert ask(gate, 3, NOW) is not None
