"""Several who reconcile one route at once: one acts, the others wait for him, and what is declared last holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from keystone_platform.control.goal import Goal, Verdict
from keystone_platform.control.goals import redeclared, wanted
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.slots import SLOTS_PATIENCE_S
from keystone_platform.errors import Conflict
from keystone_platform.plan.decide import Request
from keystone_platform.plan.deployment import Cause, End
from keystone_platform.plan.router_plan import RouterPlan
from tests.control.fakes import World, a_plan
from tests.e2e.platform import stream_yaml

PLAN = a_plan()
CHANGED = PLAN.model_copy(update={"checkpoint_interval_s": 30})
NEWEST = PLAN.model_copy(update={"checkpoint_interval_s": 60})


def converge(
    world: World,
    plan: RouterPlan,
    rival: Callable[[], object] = lambda: None,
    request: Request = Request.CONVERGE,
    declared: RouterPlan | None = None,
) -> Verdict:
    """Reconcile; in the moment before the router is stopped a rival does his part whole."""
    come = False

    def progress(_route: str, doing: str) -> None:
        nonlocal come
        if doing.startswith("stopping") and not come:
            come = True
            rival()

    def refresh(goals: Sequence[Goal]) -> Sequence[Goal]:
        return [Goal(declared, 4)] if declared else goals

    (verdict,) = reconcile(world.gateways, [Goal(plan, 4)], request, progress, refresh)
    return verdict


def test_of_two_who_upgrade_at_once_one_does_and_the_other_finds_it_done(world: World) -> None:
    converge(world, PLAN)
    verdict = converge(world, CHANGED, rival=lambda: converge(world, CHANGED))
    assert verdict.ok, verdict.message
    assert [each.cause for each in world.ledger.history(PLAN.route)] == [Cause.UPGRADE, Cause.DEPLOY]


def test_a_router_is_not_brought_back_to_what_was_declared_before_somebody_else_was_first(world: World) -> None:
    converge(world, PLAN)
    verdict = converge(world, CHANGED, rival=lambda: converge(world, NEWEST), declared=NEWEST)
    assert verdict.ok, verdict.message
    newest, *_ = history = world.ledger.history(PLAN.route)
    assert (newest.plan, len(history)) == (NEWEST, 2)


def test_a_stop_that_was_begun_by_another_is_not_begun_a_second_time(world: World) -> None:
    converge(world, PLAN)

    def begin() -> None:
        world.ledger.intend_stop(world.ledger.latest()[PLAN.route], now=world.clock.now())
        world.flink.savepoints_fail = True  # a second one at the same time may break the first

    verdict = converge(world, CHANGED, rival=begin, request=Request.RESTART)
    assert isinstance(verdict.error, Conflict)


def test_what_somebody_stopped_in_the_same_moment_stays_stopped(world: World) -> None:
    converge(world, PLAN)
    verdict = converge(world, CHANGED, rival=lambda: converge(world, PLAN, request=Request.STOP))
    assert isinstance(verdict.error, Conflict)
    assert [each.end for each in world.ledger.history(PLAN.route)] == [End.STOPPED]


def test_who_waited_for_another_deploys_what_is_declared_by_then(world: World) -> None:
    world.ledger.intend(PLAN, after=0, cause=Cause.DEPLOY, restore_from=None, now=world.clock.now())
    assert converge(world, CHANGED, declared=NEWEST).ok
    assert world.ledger.latest()[PLAN.route].plan == NEWEST


def test_goals_as_they_are_declared_now_and_as_they_were_where_the_file_is_wrong_by_now(tmp_path: Path) -> None:
    for stream in ("one", "two"):
        (tmp_path / f"{stream}.yaml").write_text(stream_yaml(stream))
    goals = wanted(tmp_path, ()).goals
    (tmp_path / "one.yaml").write_text(stream_yaml("one", where="n > 1"))
    (tmp_path / "two.yaml").write_text("stream: [")
    one, two = redeclared(tmp_path, goals)
    assert one.plan.filter is not None
    assert (one.route, two) == ("one.warehouse", goals[1])


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_router_that_is_down_waits_a_while_for_the_slots_that_it_had(world: World, *, comes_back: bool) -> None:
    converge(world, PLAN)
    world.flink.forget()
    world.flink.slots = 0
    began, sleep = world.clock.now(), world.clock.sleep

    def until_the_task_manager_is_back(seconds: float) -> None:
        sleep(seconds)
        world.flink.slots = 8 if comes_back else 0

    world.clock.sleep = until_the_task_manager_is_back  # type: ignore[method-assign]
    verdict = converge(world, PLAN)
    assert verdict.ok is comes_back, verdict.message
    waited = world.clock.now() - began
    assert (waited < timedelta(seconds=SLOTS_PATIENCE_S)) is comes_back
