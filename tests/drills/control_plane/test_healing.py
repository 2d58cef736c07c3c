"""The stack's own Dagster brings back what fails, and nobody else is asked to: measured, and each row lands once."""

from __future__ import annotations

import time

import pytest

from keystone_platform.control.goal import Goal
from keystone_platform.control.reconcile import reconcile
from keystone_platform.defs.keys import REDEPLOY_JOB, ROLLBACK_JOB
from keystone_platform.plan.deployment import Cause
from keystone_platform.plan.recovery import positions_of
from keystone_platform.plan.router_plan import Filter
from tests.drills.control_plane.steered import ROUTES, WAREHOUSE, Steered
from tests.drills.test_faults import kill
from tests.drills.test_lifecycle import POISON, running
from tests.e2e.platform import wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]


def ticked(steered: Steered, times: int) -> None:
    """Wait until the sensor has gone through so many more ticks."""
    since = time.time()
    wait_for(
        "the sensor ticks",
        lambda: sum(tick.ended is not None for tick in steered.dagster.ticks(since)) >= times,
        120,
    )


def test_failed_router_is_redeployed_by_the_sensor(steered: Steered) -> None:
    before = steered.latest(WAREHOUSE)
    with steered.drill("a job cancelled: Dagster's sensor has it redeployed"):
        steered.platform.gateways.flink.cancel(before.job_id, 60)
        failed = time.time()
        run = steered.asked(failed, REDEPLOY_JOB)
        after = steered.runs_after(before)
        up = time.time()
    print(steered.told(failed, run, after, up))
    noticing = [tick for tick in steered.dagster.ticks(failed) if tick.began <= run.created]
    assert len(noticing) == 1, "the first tick after the failure asks for the redeploy"
    assert (after.cause, after.epoch) == (Cause.REDEPLOY, before.epoch + 1)


@pytest.mark.parametrize("checkpoints", ["retained", "deleted"])
def test_job_manager_killed_and_the_sensor_brings_the_routers_back(steered: Steered, checkpoints: str) -> None:
    gateways = steered.platform.gateways
    before = {route: steered.latest(route) for route in ROUTES}
    with steered.drill(f"JobManager killed, the table's checkpoints {checkpoints}; Dagster's sensor has it redeployed"):
        kill(steered.stack, "flink-jobmanager")
        failed = time.time()
        if checkpoints == "deleted":
            assert gateways.objects.delete_prefix(gateways.checkpoint_directory(WAREHOUSE) + "/") > 0
        run = steered.asked(failed, REDEPLOY_JOB)
        after = {route: steered.runs_after(before[route]) for route in ROUTES}
        up = time.time()
    print(steered.told(failed, run, after[WAREHOUSE], up))
    for each in steered.dagster.runs(failed):
        print(f"{each.job} {each.status}, asked for {each.created - failed:.0f} s after the kill")
    assert (positions_of(after[WAREHOUSE].restore_from) is not None) is (checkpoints == "deleted")


def test_plan_that_fails_at_run_time_is_rolled_back_by_the_sensor(steered: Steered) -> None:
    good = steered.latest(WAREHOUSE)
    # true of every event but one, which it fails at: no user can declare such a filter
    condition = Filter(text="bad", flink=f"((1 / (`n` - ({POISON}))) < 2)", duckdb="true")
    bad = good.plan.model_copy(update={"filter": condition})
    with steered.drill("a changed plan that fails at run time: Dagster's sensor has it rolled back"):
        upgraded = running(reconcile(steered.platform.gateways, [Goal(bad, 2)])[0])
        assert upgraded.cause is Cause.UPGRADE
        steered.platform.produce("steered", [POISON])
        failed = time.time()
        run = steered.asked(failed, ROLLBACK_JOB)
        back = steered.runs_after(upgraded)
        up = time.time()
    print(back.note, "|", steered.platform.gateways.ledger.history(WAREHOUSE)[1].note)
    print(steered.told(failed, run, back, up))
    assert (back.cause, back.plan) == (Cause.ROLLBACK, good.plan)


def test_sensors_cursor_wiped(steered: Steered) -> None:
    before = steered.latest(WAREHOUSE)
    with steered.drill("the sensor's cursor wiped, while all is well and amid an incident"):
        ticked(steered, 1)
        wiped = time.time()
        steered.dagster.wipe_cursor()
        ticked(steered, 3)
        assert steered.dagster.runs(wiped) == []
        told = [check for route in ROUTES for check in steered.dagster.checks(route, wiped)]
        assert [check.text for check in told if not check.passed] == []
        print(f"all well: told {len(told)} times that {len(ROUTES)} routers run, asked for nothing")
        failed = time.time()
        steered.platform.gateways.flink.cancel(before.job_id, 60)
        run = steered.asked(failed)
        steered.dagster.wipe_cursor()
        after = steered.runs_after(before)
        ticked(steered, 3)
        assert steered.dagster.runs(failed)[1:] == []
    assert (run.job, after.epoch) == (REDEPLOY_JOB, before.epoch + 1)
