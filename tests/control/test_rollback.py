"""Going back to an earlier plan: by hand, by the gate, and what does not come back by itself afterwards."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from keystone_platform.control.gate import failed_gates
from keystone_platform.control.goal import Goal, Verdict
from keystone_platform.control.health import Assessment, Expected, assess
from keystone_platform.control.measure import measure
from keystone_platform.control.memory import Memory
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.rollback import roll_back
from keystone_platform.control.sweep import sweep
from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.decide import Act, Request
from keystone_platform.plan.deployment import Cause, Deployment, End
from keystone_platform.plan.gate import ASK_AGAIN, WINDOW
from keystone_platform.plan.observation import JobState
from tests.control.fakes import World, a_plan, make_world

PLAN = a_plan()
ROUTE = PLAN.route
BAD = PLAN.model_copy(update={"checkpoint_interval_s": 30})
MENDED = PLAN.model_copy(update={"checkpoint_interval_s": 20})
OTHERS = tuple(a_plan(f"other{number}.warehouse", table=f"events.other{number}") for number in range(3))


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = make_world(tmp_path)
    reconcile(world.gateways, [Goal(plan, 1) for plan in (PLAN, *OTHERS)])
    return world


def converge(world: World, plan: object = PLAN, request: Request = Request.CONVERGE) -> Verdict:
    (verdict,) = reconcile(world.gateways, [Goal(plan, 1)], request)  # type: ignore[arg-type]
    return verdict


def newest(world: World) -> Deployment:
    return world.ledger.latest()[ROUTE]


def upgraded(world: World) -> Deployment:
    verdict = converge(world, BAD)
    assert verdict.ok, verdict.message
    return newest(world)


class Sensor:
    """Looks at the fleet as the health sensor does."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.memories: dict[str, Memory] = {}
        self.routes = [ROUTE, *(plan.route for plan in OTHERS)]
        self.look()

    def look(self, after: timedelta = timedelta(seconds=10), busy: frozenset[str] = frozenset()) -> Assessment:
        self.world.clock.time += after
        now, gateways = self.world.clock.now(), self.world.gateways
        statuses = sweep(gateways, self.routes)
        found = measure(gateways, statuses, self.memories)
        failures = failed_gates(statuses, self.memories, found, now)
        expected = {ROUTE: Expected(plan=BAD)}
        assessed = assess(statuses, self.memories, busy, now, found, expected, failures)
        self.memories = {item.status.route: item.memory for item in assessed}
        return assessed[0]


def test_by_hand_it_goes_back_through_a_savepoint_and_stays_there_until_another_plan_is_declared(world: World) -> None:
    bad = upgraded(world)
    verdict = roll_back(world.gateways, ROUTE)
    assert verdict.ok, verdict.message
    back, left, _ = world.ledger.history(ROUTE)
    assert (back.cause, back.plan, back.restore_from) == (Cause.ROLLBACK, PLAN, left.savepoint)
    assert (left.job_id, left.end, left.note) == (bad.job_id, End.REPLACED, "rolled back to the plan of epoch 1")

    again = converge(world, BAD)
    assert (again.action.act, newest(world)) == (Act.NOTHING, back)
    assert f"keystone rollback {ROUTE} --to 2" in again.held
    assert converge(world, MENDED).ok
    assert newest(world).plan == MENDED
    assert converge(world, BAD).ok, "another plan was declared in between"
    assert newest(world).plan == BAD


def test_a_router_that_is_down_after_a_rollback_is_redeployed_by_the_plan_that_ran(world: World) -> None:
    upgraded(world)
    roll_back(world.gateways, ROUTE)
    world.flink.forget()
    verdict = converge(world, BAD)
    assert verdict.ok
    assert verdict.held
    assert (newest(world).cause, newest(world).plan) == (Cause.REDEPLOY, PLAN)
    assert converge(world, BAD, Request.RESTART).held
    assert newest(world).plan == PLAN


def test_what_is_declared_can_be_forced_back_by_its_epoch(world: World) -> None:
    upgraded(world)
    roll_back(world.gateways, ROUTE)
    assert roll_back(world.gateways, ROUTE, 2).ok
    assert newest(world).plan == BAD
    assert converge(world, BAD).held == ""


def test_a_job_that_can_make_no_savepoint_is_cancelled_and_its_newest_checkpoint_counts(world: World) -> None:
    bad = upgraded(world)
    checkpoint = world.flink.checkpoint(bad.job_id)
    world.flink.savepoints_fail = True
    assert roll_back(world.gateways, ROUTE).ok
    assert newest(world).restore_from == checkpoint
    assert world.flink.known[bad.job_id].state is JobState.CANCELED


def test_a_route_with_one_plan_has_nowhere_to_go_and_runs_on(world: World) -> None:
    with pytest.raises(InvalidSpec, match="no other plan"):
        roll_back(world.gateways, ROUTE)
    with pytest.raises(InvalidSpec, match="is deployed"):
        roll_back(world.gateways, "none.warehouse")
    assert world.flink.known[newest(world).job_id].is_running


def test_an_upgrade_that_did_not_come_up_is_not_tried_again(world: World) -> None:
    world.flink.fails_at_start.add(BAD.digest)
    assert not converge(world, BAD).ok
    submitted = len(world.flink.submissions)
    assert "it did not come up" in converge(world, BAD).held
    assert len(world.flink.submissions) == submitted


def test_an_upgrade_that_the_sensor_rolled_back_first_is_told_and_keeps_no_other_route_from_its_verdict(
    world: World,
) -> None:
    world.flink.fails_at_start.add(BAD.digest)
    other = OTHERS[0].model_copy(update={"checkpoint_interval_s": 20})

    def overtake(route: str, doing: str) -> None:
        if route == ROUTE and "going back" in doing:
            assert roll_back(world.gateways, ROUTE).ok

    first, second = reconcile(world.gateways, [Goal(BAD, 1), Goal(other, 1)], progress=overtake)
    assert "another reconcile acted" in first.message
    assert second.ok, second.message
    assert (newest(world).epoch, newest(world).cause) == (3, Cause.ROLLBACK)


def test_a_plan_that_fails_after_it_came_up_is_rolled_back_and_not_redeployed(world: World) -> None:
    sensor = Sensor(world)
    bad = upgraded(world)
    assert sensor.look().rollback is None
    world.flink.set_state(bad.job_id, JobState.FAILED)
    found = sensor.look()
    assert found.rollback is not None
    assert found.attempt is None
    assert found.report is not None
    assert "going back" in found.report.text
    assert sensor.look(busy=frozenset({ROUTE})).rollback is None

    assert roll_back(world.gateways, ROUTE, why=found.rollback).ok
    assert "its job failed within" in world.ledger.history(ROUTE)[1].note
    after = sensor.look()
    assert (after.rollback, after.attempt) == (None, None)
    assert after.report is not None
    assert "not tried again until the YAML changes" in after.report.text


def test_a_plan_that_restarts_again_and_again_is_rolled_back_but_not_at_its_first_restart(world: World) -> None:
    sensor = Sensor(world)
    bad = upgraded(world)
    world.flink.set_state(bad.job_id, JobState.RESTARTING)
    world.flink.restarted[bad.job_id] = 1
    assert sensor.look().rollback is None
    world.flink.restarted[bad.job_id] = 4
    assert "restarted 4 times" in str(sensor.look().rollback)
    assert sensor.look(after=ASK_AGAIN / 2).rollback is None
    assert sensor.look(after=ASK_AGAIN).rollback is not None
    assert sensor.look(after=WINDOW).rollback is None


def test_a_plan_is_not_blamed_when_the_others_fall_with_it(world: World) -> None:
    sensor = Sensor(world)
    upgraded(world)
    for route in sensor.routes:
        job_id = world.ledger.latest()[route].job_id
        world.flink.set_state(job_id, JobState.RESTARTING)
        world.flink.restarted[job_id] = 5
    assert sensor.look().rollback is None
    for plan in OTHERS[:2]:
        world.flink.set_state(world.ledger.latest()[plan.route].job_id, JobState.RUNNING)
    assert sensor.look().rollback is not None


def test_a_route_that_was_down_before_is_no_excuse_for_a_bad_plan(world: World) -> None:
    for plan in OTHERS:
        world.flink.set_state(world.ledger.latest()[plan.route].job_id, JobState.RESTARTING)
    sensor = Sensor(world)
    world.clock.time += timedelta(minutes=1)
    bad = upgraded(world)
    world.flink.set_state(bad.job_id, JobState.FAILED)
    assert sensor.look().rollback is not None
