"""The control loop over stateful fakes: what it does at the worst moments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from keystone_platform.control.goal import Goal
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.start import INTERRUPTED
from keystone_platform.errors import InvalidSpec, Terminal, Transient
from keystone_platform.plan.decide import Act, Request
from keystone_platform.plan.deployment import Cause, End, Outcome
from keystone_platform.plan.lifecycle import ACT_TIMEOUT
from keystone_platform.plan.observation import JobState
from keystone_platform.plan.router_plan import Filter, RouterPlan
from keystone_platform.plan.submission import Submission, SubmitOutcome
from tests.control.convergence import CHANGED, PLAN, converge, deployed
from tests.control.fakes import World, a_plan


def test_deploys_what_was_never_deployed_with_topics_and_table(world: World) -> None:
    first = deployed(converge(world))
    assert (first.epoch, first.cause, first.outcome, first.restore_from) == (1, Cause.DEPLOY, Outcome.SUBMITTED, None)
    assert world.kafka.topics == {"playback": 4, "playback.dlq": 1, "keystone.producers": 1}
    assert world.lake.made == {"events.playback"}
    assert world.flink.known[first.job_id].is_running


def test_does_nothing_when_it_runs_as_planned(world: World) -> None:
    first = deployed(converge(world))
    second = converge(world)
    assert second.action.act is Act.NOTHING
    assert deployed(second) == first
    assert world.submitter.calls == 1


def test_upgrades_through_a_savepoint_when_the_plan_changed(world: World) -> None:
    first = deployed(converge(world))
    second = deployed(converge(world, CHANGED))
    ended = world.ledger.history(PLAN.route)[1]
    assert (second.epoch, second.cause) == (2, Cause.UPGRADE)
    assert ended.end is End.REPLACED
    assert second.restore_from == ended.savepoint
    assert world.flink.known[first.job_id].state is JobState.FINISHED


def test_redeploys_from_the_newest_checkpoint_when_the_job_vanishes(world: World) -> None:
    first = deployed(converge(world))
    for _ in range(11):  # chk-11 is newer than chk-9: compared as numbers
        newest = world.flink.checkpoint(first.job_id)
    world.flink.forget()
    second = deployed(converge(world))
    assert (second.cause, second.restore_from) == (Cause.REDEPLOY, newest)
    assert world.ledger.history(PLAN.route)[1].end is End.LOST


def test_redeploys_where_it_started_when_it_fell_before_its_first_checkpoint(world: World) -> None:
    deployed(converge(world))
    upgraded = deployed(converge(world, CHANGED))
    world.flink.set_state(upgraded.job_id, JobState.FAILED)
    assert deployed(converge(world, CHANGED)).restore_from == upgraded.restore_from


def test_finds_the_savepoint_of_a_stop_whose_actor_died_before_it_could_record_it(world: World) -> None:
    first = deployed(converge(world))
    world.flink.checkpoint(first.job_id)
    world.ledger.intend_stop(first, now=world.clock.now())
    savepoint = world.flink.stop_with_savepoint(
        first.job_id, world.gateways.savepoint_directory(first.route, first.job_id), 1
    )
    assert deployed(converge(world)).restore_from == savepoint


def test_prefers_a_checkpoint_that_is_newer_than_a_savepoint_left_behind(world: World) -> None:
    first = deployed(converge(world))
    directory = world.gateways.savepoint_directory(first.route, first.job_id)
    world.flink.stop_with_savepoint(first.job_id, directory, 1)
    world.flink.set_state(first.job_id, JobState.RUNNING)  # the savepoint was made, the stop was not
    newer = world.flink.checkpoint(first.job_id)
    world.flink.forget()
    assert deployed(converge(world)).restore_from == newer


def test_a_changed_plan_that_does_not_compile_leaves_the_running_router_alone(world: World) -> None:
    first = deployed(converge(world))
    world.submitter.uncompilable.add(CHANGED.digest)
    verdict = converge(world, CHANGED)
    assert not verdict.ok
    assert "nothing was touched" in verdict.message
    assert world.flink.known[first.job_id].is_running
    assert world.ledger.latest()[PLAN.route].is_open


def test_goes_back_to_the_plan_before_when_an_upgrade_does_not_come_up(world: World) -> None:
    deployed(converge(world))
    world.flink.fails_at_start.add(CHANGED.digest)
    verdict = converge(world, CHANGED)
    assert not verdict.ok
    assert "runs again" in verdict.message
    newest, failed, first = world.ledger.history(PLAN.route)
    assert (newest.cause, newest.plan, newest.restore_from) == (Cause.ROLLBACK, PLAN, first.savepoint)
    assert failed.end is End.LOST
    assert world.flink.known[newest.job_id].is_running


@pytest.mark.parametrize("stop_first", [False, True])
def test_positions_are_never_handed_to_a_plan_with_another_table(world: World, *, stop_first: bool) -> None:
    first = deployed(converge(world))
    if stop_first:
        deployed(converge(world, request=Request.STOP))
    verdict = converge(world, a_plan(table="events.other"))
    assert isinstance(verdict.error, Terminal)
    assert "target.table: events.playback -> events.other" in verdict.message
    assert world.ledger.latest()[PLAN.route].epoch == first.epoch
    assert world.lake.made == {"events.playback"}


def test_another_spelling_of_a_filter_changes_nothing(world: World) -> None:
    one = PLAN.model_copy(update={"filter": Filter(text="country='US'", flink="c", duckdb="c")})
    other = PLAN.model_copy(update={"filter": Filter(text="country = 'US'", flink="c", duckdb="c")})
    deployed(converge(world, one))
    assert converge(world, other).action.act is Act.NOTHING


def test_an_upgrade_that_somebody_else_overtook_is_not_rolled_back(world: World) -> None:
    routes = ("one.warehouse", "two.warehouse")
    for route in routes:
        deployed(converge(world, a_plan(route, table=f"events.{route[:3]}")))
    changed = [a_plan(route, parallelism=2, table=f"events.{route[:3]}") for route in routes]

    def overtake(route: str, doing: str) -> None:
        if route == routes[1] and doing.startswith("stopping"):  # the first has ended by now and is not started yet
            ended = world.ledger.latest()[routes[0]]
            now = world.clock.now()
            world.ledger.intend(changed[0], after=1, cause=Cause.UPGRADE, restore_from=ended.savepoint, now=now)

    first, second = reconcile(world.gateways, [Goal(plan, 4) for plan in changed], progress=overtake)
    assert (first.ok, second.ok) == (True, True), first.message
    causes = [each.cause for each in world.ledger.history(routes[0])]
    assert causes == [Cause.REDEPLOY, Cause.UPGRADE, Cause.DEPLOY], "no rollback: he who overtook it is waited for"


def test_a_failed_savepoint_leaves_the_running_router_alone(world: World) -> None:
    first = deployed(converge(world))
    world.flink.savepoints_fail = True
    verdict = converge(world, CHANGED)
    assert not verdict.ok
    assert world.flink.known[first.job_id].is_running
    assert len(world.flink.submissions) == 1


def test_a_router_that_restarts_is_upgraded_from_its_newest_checkpoint(world: World) -> None:
    first = deployed(converge(world))
    newest = world.flink.checkpoint(first.job_id)
    world.flink.set_state(first.job_id, JobState.RESTARTING)
    assert deployed(converge(world, CHANGED)).restore_from == newest


def test_a_router_that_is_still_starting_is_stopped_with_a_savepoint(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = deployed(converge(world))
    world.flink.checkpoint(first.job_id)
    world.flink.set_state(first.job_id, JobState.CREATED)

    def sleep(seconds: float) -> None:
        world.clock.time += timedelta(seconds=seconds)
        world.flink.set_state(first.job_id, JobState.RUNNING)

    monkeypatch.setattr(world.clock, "sleep", sleep)
    second = deployed(converge(world, CHANGED))
    ended = world.ledger.history(PLAN.route)[1]
    assert ended.savepoint is not None
    assert second.restore_from == ended.savepoint


def test_an_interrupt_between_stop_and_start_is_told_with_what_comes_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Sequence[Submission]) -> Sequence[SubmitOutcome]:
        raise KeyboardInterrupt

    monkeypatch.setattr(world.submitter, "submit", interrupted)
    told: list[tuple[str, str]] = []
    with pytest.raises(KeyboardInterrupt):
        reconcile(world.gateways, [Goal(PLAN, 4)], progress=lambda route, doing: told.append((route, doing)))
    assert told[-1] == (PLAN.route, INTERRUPTED)
    assert "keystone apply" in INTERRUPTED
    monkeypatch.undo()
    world.clock.time += ACT_TIMEOUT
    assert deployed(converge(world)).epoch == 2


def test_stop_keeps_it_stopped_and_apply_starts_it_from_the_savepoint(world: World) -> None:
    deployed(converge(world))
    stopped = deployed(converge(world, request=Request.STOP))
    assert (stopped.end, stopped.savepoint is not None) == (End.STOPPED, True)
    assert converge(world, request=Request.STOP).action.act is Act.NOTHING
    assert deployed(converge(world)).restore_from == stopped.savepoint


def test_stop_of_a_router_that_is_down_is_remembered(world: World) -> None:
    deployed(converge(world))
    world.flink.forget()
    assert deployed(converge(world, request=Request.STOP)).end is End.STOPPED


def test_one_route_that_goes_wrong_does_not_touch_the_others(world: World) -> None:
    bad, good = a_plan("bad.warehouse", table="events.bad"), a_plan("good.warehouse", table="events.good")
    world.submitter.uncompilable.add(bad.digest)
    first, second = reconcile(world.gateways, [Goal(bad, 1), Goal(good, 1)])
    assert (first.ok, second.ok) == (False, True)
    assert world.submitter.calls == 1


def test_a_refused_deployment_is_tried_anew_with_the_next_epoch(world: World) -> None:
    world.submitter.uncompilable.add(PLAN.digest)
    assert not converge(world).ok
    world.submitter.uncompilable.clear()
    second = deployed(converge(world))
    assert (second.epoch, second.restore_from) == (2, None)


def test_kafka_down_is_an_error_that_touches_no_router(world: World) -> None:
    world.kafka.reachable = False
    verdict = converge(world)
    assert isinstance(verdict.error, Transient)
    assert not world.flink.known


def test_flink_down_means_nothing_was_observed_and_nothing_done(world: World) -> None:
    world.flink.reachable = False
    with pytest.raises(Transient):
        converge(world)
    assert not world.kafka.topics


def test_a_table_that_cannot_take_the_plan_leaves_the_running_router_alone(world: World) -> None:
    first = deployed(converge(world))

    def refuse(plan: RouterPlan) -> None:
        message = "a column's type changed"
        raise InvalidSpec(message)

    world.lake.ensure_table = refuse  # type: ignore[method-assign, assignment]
    assert not converge(world, CHANGED).ok
    assert world.flink.known[first.job_id].is_running
