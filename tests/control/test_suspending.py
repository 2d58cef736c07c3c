"""The control loop over stateful fakes: routes that are rescaled, suspended and resumed."""

from __future__ import annotations

from keystone_platform.control.goal import Goal, Verdict
from keystone_platform.control.reconcile import reconcile
from keystone_platform.plan.decide import Act, Request
from keystone_platform.plan.deployment import Cause, End
from tests.control.convergence import PLAN, RESCALED, converge, deployed
from tests.control.fakes import World, a_plan


def test_restart_goes_through_a_savepoint_with_the_same_plan(world: World) -> None:
    deployed(converge(world))
    restarted = deployed(converge(world, request=Request.RESTART))
    assert (restarted.epoch, restarted.cause, restarted.plan) == (2, Cause.RESTART, PLAN)
    assert restarted.restore_from is not None


def test_another_parallelism_is_a_rescale_that_flink_need_not_compile_first(world: World) -> None:
    first = deployed(converge(world))
    world.submitter.check = None  # type: ignore[method-assign, assignment]
    verdict = converge(world, RESCALED)
    assert verdict.action.why == "rescale, parallelism: 1 -> 2"
    assert (deployed(verdict).cause, deployed(verdict).restore_from) == (
        Cause.RESCALE,
        world.ledger.history(first.route)[1].savepoint,
    )


def test_a_router_that_is_down_is_rescaled_from_its_newest_checkpoint(world: World) -> None:
    newest = world.flink.checkpoint(deployed(converge(world)).job_id)
    world.flink.forget()
    rescaled = deployed(converge(world, RESCALED))
    assert (rescaled.cause, rescaled.restore_from) == (Cause.RESCALE, newest)


def test_a_rescale_that_does_not_come_up_goes_back(world: World) -> None:
    deployed(converge(world))
    world.flink.fails_at_start.add(RESCALED.digest)
    assert not converge(world, RESCALED).ok
    newest = world.ledger.latest()[PLAN.route]
    assert (newest.cause, newest.plan) == (Cause.ROLLBACK, PLAN)


def suspend(world: World, request: Request = Request.CONVERGE) -> Verdict:
    (verdict,) = reconcile(world.gateways, [Goal(PLAN, 4, suspended=True)], request)
    return verdict


def test_a_suspended_route_is_stopped_and_nobody_starts_it_until_it_is_declared_otherwise(world: World) -> None:
    deployed(converge(world))
    ended = deployed(suspend(world))
    assert (ended.end, ended.note, ended.savepoint is not None) == (End.STOPPED, "suspended in its YAML", True)
    assert suspend(world).action.act is Act.NOTHING
    assert suspend(world, Request.RESTART).action.act is Act.NOTHING
    assert deployed(converge(world)).restore_from == ended.savepoint


def test_a_suspended_route_that_never_ran_is_left_alone(world: World) -> None:
    assert suspend(world).action.act is Act.NOTHING
    assert not world.kafka.topics


def test_a_suspended_route_that_is_down_is_not_redeployed(world: World) -> None:
    deployed(converge(world))
    world.flink.forget()
    assert deployed(suspend(world)).end is End.STOPPED


def test_what_is_suspended_makes_room_for_what_starts_in_the_same_call(world: World) -> None:
    world.flink.slots = 1
    deployed(converge(world))
    other = a_plan("other.warehouse", table="events.other")
    started, stopped = reconcile(world.gateways, [Goal(other, 1), Goal(PLAN, 4, suspended=True)])
    assert (started.ok, stopped.ok) == (True, True), started.message
