"""Which jobs are copies that must not run, and which are nobody's business."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from keystone_platform.plan.deployment import Cause, Deployment, End, Outcome
from keystone_platform.plan.observation import Job, JobState
from keystone_platform.plan.stray import strays, unaccounted
from tests.control.fakes import a_plan

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ROUTE = "playback.warehouse"


def deployment(epoch: int, end: End | None = None) -> Deployment:
    outcome = Outcome.SUBMITTED
    return Deployment(ROUTE, epoch, f"j{epoch}", a_plan(), Cause.DEPLOY, None, NOW, outcome=outcome, end=end)


def job(job_id: str, name: str = ROUTE, state: JobState = JobState.RUNNING) -> Job:
    return Job(job_id, name, state, NOW, 3, 3)


OPEN = deployment(3)
CASES = {
    "the newest deployment": (OPEN, job("j3"), None),
    "an older one": (OPEN, job("j2"), (2, True)),
    "an older one that has ended": (OPEN, job("j2", state=JobState.CANCELED), None),
    "an older one that waits for slots": (OPEN, job("j2", state=JobState.CREATED), (2, True)),
    "stopped, and it runs": (replace(OPEN, end=End.STOPPED), job("j3"), (3, True)),
    "taken for lost, and it runs": (replace(OPEN, end=End.LOST), job("j3"), (3, True)),
    "refused, and it runs": (replace(OPEN, outcome=Outcome.REFUSED), job("j3"), (3, True)),
    "not known to be submitted, and it runs": (replace(OPEN, outcome=None), job("j3"), None),
    "deployed since the ledger was read": (deployment(1, End.REPLACED), job("j2"), None),
    "named like the route": (OPEN, job("other"), (None, False)),
    "somebody else's": (OPEN, job("other", name="word count"), None),
}


@pytest.mark.parametrize(("newest", "seen", "found"), CASES.values(), ids=CASES.keys())
def test_what_is_a_stray_and_whether_it_may_be_ended(
    newest: Deployment, seen: Job, found: tuple[int | None, bool] | None
) -> None:
    latest = {ROUTE: newest}
    known = {each.job_id: each for each in (deployment(2, End.REPLACED), newest)}
    told = strays(unaccounted([seen], latest), latest, known, {ROUTE})
    assert [(stray.epoch, stray.is_ours) for stray in told] == ([found] if found else [])
