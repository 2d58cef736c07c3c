"""The control loop over stateful fakes: slots that are missing, and owners' shares of them."""

from __future__ import annotations

from keystone_platform.control.goal import Goal
from keystone_platform.control.reconcile import reconcile
from keystone_platform.plan.decide import Request
from keystone_platform.plan.deployment import Cause
from keystone_platform.plan.observation import JobState
from keystone_platform.plan.slot_quota import SlotQuotas
from tests.control.convergence import PLAN, RESCALED, converge, deployed
from tests.control.fakes import World, a_plan


def test_names_the_slots_that_are_missing_and_touches_nothing(world: World) -> None:
    world.flink.slots = 1
    verdict = converge(world, RESCALED)
    assert "1 free slots for it, it needs 2" in verdict.message
    assert not world.kafka.topics
    assert not world.ledger.history(PLAN.route)


def owned(owner: str, route: str, parallelism: int = 1) -> Goal:
    plan = a_plan(route, parallelism, table=f"events.{route.split('.')[0]}")
    return Goal(plan.model_copy(update={"owner": owner}), 1)


def test_an_owner_gets_his_quota_and_takes_nothing_from_the_others(world: World) -> None:
    world.slot_quotas = SlotQuotas({"*": 2})
    greedy = [owned("team:greedy", f"greedy{number}.warehouse") for number in range(4)]
    verdicts = reconcile(world.gateways, [*greedy, owned("team:modest", "modest.warehouse", 2)])
    assert [verdict.ok for verdict in verdicts] == [True, True, False, False, True]
    assert "team:greedy may have 2 slots" in verdicts[2].message
    assert "slot_quotas" in verdicts[2].message
    assert reconcile(world.gateways, greedy[2:3])[0].ok is False  # also in a round of its own


def test_a_router_that_failed_comes_back_under_a_quota_that_was_lowered(world: World) -> None:
    goal = owned("team:greedy", "greedy.warehouse", 2)
    first = deployed(reconcile(world.gateways, [goal])[0])
    world.slot_quotas = SlotQuotas({"team:greedy": 1})
    world.flink.set_state(first.job_id, JobState.FAILED)
    assert deployed(reconcile(world.gateways, [goal])[0]).cause is Cause.REDEPLOY
    reconcile(world.gateways, [goal], Request.STOP)
    assert "may have 1 slots" in reconcile(world.gateways, [goal])[0].message
