"""Copies of a router: found by one sweep, ended by a reconcile, and never somebody else's job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from keystone_platform.control.goal import Goal, Verdict
from keystone_platform.control.health import assess
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.sweep import sweep
from keystone_platform.errors import Terminal
from keystone_platform.gateways.ledger import SqlLedger
from keystone_platform.plan.decide import Act, Request
from keystone_platform.plan.deployment import Cause, Deployment, End
from keystone_platform.plan.lifecycle import ACT_TIMEOUT
from keystone_platform.plan.observation import Job, JobState
from keystone_platform.plan.submission import Submission
from tests.control.fakes import World, a_plan

PLAN = a_plan()
ROUTE = PLAN.route


def converge(world: World, request: Request = Request.CONVERGE) -> Verdict:
    (verdict,) = reconcile(world.gateways, [Goal(PLAN, 4)], request)
    return verdict


def submit(world: World, deployment: Deployment) -> Job:
    directory = world.gateways.checkpoint_directory(ROUTE)
    world.flink.take(
        Submission(
            plan=PLAN,
            epoch=deployment.epoch,
            job_id=deployment.job_id,
            restore_from=None,
            checkpoint_directory=directory,
            savepoint_directory=world.gateways.savepoint_directory(ROUTE, deployment.job_id),
        )
    )
    return world.flink.known[deployment.job_id]


def state_of(world: World, job: Job) -> JobState:
    return world.flink.known[job.job_id].state


def test_a_submission_that_arrives_after_its_actor_was_taken_for_dead_is_shown_and_ended(world: World) -> None:
    late = world.ledger.intend(PLAN, after=0, cause=Cause.DEPLOY, restore_from=None, now=world.clock.now())
    world.clock.time += ACT_TIMEOUT
    assert converge(world).ok
    copy = submit(world, late)
    (status,) = sweep(world.gateways, [ROUTE])
    assert [(stray.epoch, stray.job.job_id) for stray in status.strays] == [(1, copy.job_id)]

    verdict = converge(world)
    assert (verdict.ok, verdict.action.act) == (True, Act.NOTHING)
    assert f"ended job {copy.job_id}" in verdict.message
    assert state_of(world, copy) is JobState.CANCELED
    assert verdict.deployment is not None
    assert world.flink.known[verdict.deployment.job_id].is_running
    assert sweep(world.gateways, [ROUTE])[0].strays == ()


def test_a_job_that_comes_back_after_it_was_taken_for_lost_is_ended_before_its_successor_starts(world: World) -> None:
    converge(world)
    first = world.ledger.latest()[ROUTE]
    checkpoint = world.flink.checkpoint(first.job_id)
    world.ledger.record_end(first, End.LOST, now=world.clock.now())
    verdict = converge(world)
    assert verdict.ok, verdict.message
    assert world.flink.known[first.job_id].state is JobState.CANCELED
    assert verdict.deployment is not None
    assert verdict.deployment.restore_from == checkpoint


def test_a_stop_ends_the_copies_too(world: World) -> None:
    converge(world)
    first = world.ledger.latest()[ROUTE]
    converge(world, Request.STOP)
    world.flink.set_state(first.job_id, JobState.RUNNING)
    assert converge(world, Request.STOP).ok
    assert world.flink.known[first.job_id].state is JobState.CANCELED


def test_a_job_of_the_routes_name_that_is_not_in_the_ledger_is_not_ended_and_nothing_starts_beside_it(
    world: World,
) -> None:
    foreign = Job("f" * 32, ROUTE, JobState.RUNNING, world.clock.now(), 3, 3)
    converge(world)
    converge(world, Request.STOP)
    world.flink.known[foreign.job_id] = foreign
    world.flink.submissions.append(world.flink.submissions[0].model_copy(update={"job_id": foreign.job_id}))
    verdict = converge(world)
    assert isinstance(verdict.error, Terminal)
    assert "this ledger knows no such job" in verdict.message
    assert world.flink.known[foreign.job_id] == foreign
    assert world.ledger.latest()[ROUTE].epoch == 1
    (status,) = sweep(world.gateways, [ROUTE])
    assert [stray.is_ours for stray in status.strays] == [False]


def test_a_new_ledger_starts_nothing_beside_the_jobs_of_the_one_that_was_lost(world: World, tmp_path: Path) -> None:
    converge(world)
    fresh = SqlLedger(f"sqlite:///{tmp_path}/fresh.db")
    (verdict,) = reconcile(replace(world.gateways, ledger=fresh), [Goal(PLAN, 4)])
    assert "was the ledger replaced?" in verdict.message
    assert len(world.flink.submissions) == 1
    statuses = sweep(replace(world.gateways, ledger=fresh), [ROUTE])
    (assessed,) = assess(statuses, {}, frozenset(), world.clock.now())
    assert assessed.report is not None
    assert (assessed.report.passed, assessed.attempt) == (False, None)
    assert "this ledger knows no such job" in assessed.report.text


def test_a_foreign_job_of_the_name_leaves_a_router_that_runs_alone(world: World) -> None:
    converge(world)
    foreign = Job("f" * 32, ROUTE, JobState.RUNNING, world.clock.now(), 3, 3)
    world.flink.known[foreign.job_id] = replace(foreign, name=ROUTE)
    world.flink.submissions.append(world.flink.submissions[0].model_copy(update={"job_id": foreign.job_id}))
    assert converge(world).ok
    assert world.flink.known[foreign.job_id].is_running


def test_one_routes_reconcile_leaves_anothers_copy_alone(world: World) -> None:
    late = world.ledger.intend(PLAN, after=0, cause=Cause.DEPLOY, restore_from=None, now=world.clock.now())
    world.clock.time += ACT_TIMEOUT
    converge(world)
    copy = submit(world, late)
    other = a_plan("other.warehouse", table="events.other")
    reconcile(world.gateways, [Goal(other, 1)])
    assert state_of(world, copy) is JobState.RUNNING
