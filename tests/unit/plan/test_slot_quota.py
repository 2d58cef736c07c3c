"""Slot quotas by owner: growth is bounded, what runs is left alone."""

from __future__ import annotations

import pytest

from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.plan.slot_quota import SlotQuotas
from tests.control.fakes import a_plan


def plan_of(owner: str, route: str, parallelism: int) -> RouterPlan:
    return a_plan(route, parallelism).model_copy(update={"owner": owner})


RUNNING = {
    "a.one": plan_of("team:a", "a.one", 2),
    "a.two": plan_of("team:a", "a.two", 1),
    "b.one": plan_of("team:b", "b.one", 4),
}


@pytest.mark.parametrize(
    ("quotas", "owner", "route", "wants", "has", "is_refused"),
    [
        pytest.param({}, "team:a", "a.new", 9, 0, False, id="no quota"),
        pytest.param({"team:b": 1}, "team:a", "a.new", 9, 0, False, id="a quota of somebody else"),
        pytest.param({"team:a": 4}, "team:a", "a.new", 1, 0, False, id="the last slot"),
        pytest.param({"team:a": 4}, "team:a", "a.new", 2, 0, True, id="one too many"),
        pytest.param({"*": 4}, "team:a", "a.new", 2, 0, True, id="the quota of everybody"),
        pytest.param({"*": 4, "team:a": 9}, "team:a", "a.new", 2, 0, False, id="a quota of one's own goes first"),
        pytest.param({"team:a": 3}, "team:a", "a.one", 3, 2, True, id="a rescale beyond it"),
        pytest.param({"team:a": 4}, "team:a", "a.one", 3, 2, False, id="a rescale within it: its own slots count once"),
        pytest.param({"team:a": 1}, "team:a", "a.one", 2, 2, False, id="a restart under a quota that was lowered"),
        pytest.param({"team:a": 1}, "team:a", "a.one", 1, 2, False, id="a rescale down under a quota that was lowered"),
        pytest.param({"team:a": 0}, "team:a", "a.new", 1, 0, True, id="none at all"),
    ],
)
def test_a_start_is_refused_iff_the_owner_would_have_more_than_his_quota(
    quotas: dict[str, int], owner: str, route: str, wants: int, has: int, is_refused: bool
) -> None:
    assert bool(SlotQuotas(quotas).excess(plan_of(owner, route, wants), has, RUNNING)) is is_refused


def test_the_refusal_gives_the_numbers() -> None:
    refusal = SlotQuotas({"team:a": 4}).excess(plan_of("team:a", "a.new", 2), 0, RUNNING)
    assert refusal == "team:a may have 4 slots, and its other routers have 3; it needs 2"
