"""The control loop over stateful fakes: submissions that nobody saw the end of, and rivals."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from keystone_platform.control.goal import Goal
from keystone_platform.control.reconcile import reconcile
from keystone_platform.errors import Conflict, UnknownOutcome
from keystone_platform.plan.decide import Act
from keystone_platform.plan.deployment import Cause, Deployment, Outcome
from keystone_platform.plan.lifecycle import ACT_TIMEOUT
from keystone_platform.plan.submission import Submission, SubmitOutcome
from tests.control.convergence import PLAN, converge, deployed
from tests.control.fakes import World


def test_adopts_a_submission_whose_outcome_nobody_recorded(world: World) -> None:
    intent = world.ledger.intend(PLAN, after=0, cause=Cause.DEPLOY, restore_from=None, now=world.clock.now())
    world.submitter.submit([_submission(world, intent)])
    verdict = converge(world)
    assert verdict.action.act is Act.NOTHING
    assert (deployed(verdict).epoch, deployed(verdict).outcome) == (1, Outcome.SUBMITTED)
    assert len(world.flink.known) == 1


def test_a_router_that_somebody_else_adopts_while_it_is_submitted_is_no_failure(world: World) -> None:
    submit = world.submitter.submit

    def submit_slowly(submissions: Sequence[Submission]) -> Sequence[SubmitOutcome]:
        outcomes = submit(submissions)
        assert converge(world).ok  # the health sensor's run finds the job and writes down that it was taken
        return outcomes

    world.submitter.submit = submit_slowly  # type: ignore[method-assign,assignment]
    verdict = converge(world)
    assert (deployed(verdict).epoch, deployed(verdict).outcome) == (1, Outcome.SUBMITTED)
    assert len(world.flink.known) == 1


def test_waits_while_somebody_else_submits_and_takes_over_when_he_counts_as_dead(world: World) -> None:
    intent = world.ledger.intend(PLAN, after=0, cause=Cause.DEPLOY, restore_from=None, now=world.clock.now())
    second = deployed(converge(world))
    assert second.epoch == 2
    assert second.intended_at - intent.intended_at >= ACT_TIMEOUT
    assert [each.job_id for each in world.flink.submissions] == [second.job_id]


def test_waits_for_somebody_elses_deployment_and_finds_it_done(world: World) -> None:
    intent = world.ledger.intend(PLAN, after=0, cause=Cause.DEPLOY, restore_from=None, now=world.clock.now())
    told: list[str] = []

    def progress(_route: str, doing: str) -> None:
        told.append(doing)
        world.submitter.submit([_submission(world, intent)])

    (verdict,) = reconcile(world.gateways, [Goal(PLAN, 4)], progress=progress)
    assert verdict.action.act is Act.NOTHING
    assert len(told) == 1
    assert deployed(verdict).epoch == 1


def test_looks_the_job_up_when_the_submitter_dies_after_the_submission(world: World) -> None:
    world.submitter.dies_after = True
    assert deployed(converge(world)).outcome is Outcome.SUBMITTED


def test_leaves_the_outcome_open_when_the_submitter_dies_and_no_job_is_seen(world: World) -> None:
    world.submitter.dies_before = True
    verdict = converge(world)
    assert isinstance(verdict.error, UnknownOutcome)
    newest = world.ledger.latest()[PLAN.route]
    assert (newest.outcome, newest.end) == (None, None)


def test_when_no_jvm_starts_it_is_known_that_nothing_runs_and_the_next_reconcile_need_not_wait(world: World) -> None:
    world.submitter.has_jvm = False
    assert "no JVM" in converge(world).message
    world.submitter.has_jvm = True
    before = world.clock.now()
    assert deployed(converge(world)).epoch == 2
    assert world.clock.now() - before < ACT_TIMEOUT


def test_two_writers_of_one_epoch_cannot_both_win(world: World) -> None:
    world.ledger.intend(PLAN, after=0, cause=Cause.DEPLOY, restore_from=None, now=world.clock.now())
    with pytest.raises(Conflict):
        world.ledger.intend(PLAN, after=0, cause=Cause.DEPLOY, restore_from=None, now=world.clock.now())


def _submission(world: World, intent: Deployment):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from keystone_platform.gateways.submit import Submission

    return Submission(
        plan=intent.plan,
        epoch=intent.epoch,
        job_id=intent.job_id,
        restore_from=None,
        checkpoint_directory=world.gateways.checkpoint_directory(intent.route),
        savepoint_directory=world.gateways.savepoint_directory(intent.route, intent.job_id),
    )
