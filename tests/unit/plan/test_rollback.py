"""Where a rollback goes, and what is not tried again after it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.deployment import Cause, Deployment, Outcome
from keystone_platform.plan.rollback import held_back, rollback_target
from tests.control.fakes import a_plan

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
PLANS = {name: a_plan(parallelism=number) for number, name in enumerate("ABC", 1)}
DEPLOY, UPGRADE, ROLLBACK, REDEPLOY = Cause.DEPLOY, Cause.UPGRADE, Cause.ROLLBACK, Cause.REDEPLOY

Made = tuple[str, Cause, str]
"""A deployment: its plan, its cause, how it ended (`ran` until it was stopped, `fell`, `refused`, `runs`)."""


def history(*made: Made) -> tuple[Deployment, ...]:
    """Return the deployments, which are given oldest first, newest first."""
    return tuple(
        Deployment(
            "playback.warehouse",
            epoch,
            f"j{epoch}",
            PLANS[plan],
            cause,
            None,
            NOW,
            outcome=Outcome.REFUSED if ended == "refused" else Outcome.SUBMITTED,
            savepoint="s3://s" if ended == "ran" else None,
        )
        for epoch, (plan, cause, ended) in enumerate(made, 1)
    )[::-1]


A1 = ("A", DEPLOY, "ran")
B_FELL = ("B", UPGRADE, "fell")
BACK = ("A", ROLLBACK, "runs")

HELD = {
    "never deployed": ((), "B", None),
    "an upgrade that runs": ((A1, ("B", UPGRADE, "runs")), "B", None),
    "an upgrade still to come": ((A1,), "B", None),
    "rolled back": ((A1, B_FELL, BACK), "B", 2),
    "rolled back, and declared as it runs": ((A1, B_FELL, BACK), "A", None),
    "rolled back, and a third plan is declared": ((A1, B_FELL, BACK), "C", None),
    "refused and rolled back": ((A1, ("B", UPGRADE, "refused"), BACK), "B", 2),
    "redeployed since": ((A1, B_FELL, ("A", ROLLBACK, "fell"), ("A", REDEPLOY, "runs")), "B", 2),
    "another plan ran since": ((A1, B_FELL, ("A", ROLLBACK, "ran"), ("C", UPGRADE, "runs")), "B", None),
    "brought back by force": ((A1, B_FELL, ("A", ROLLBACK, "ran"), ("B", ROLLBACK, "runs")), "B", None),
}


@pytest.mark.parametrize(("made", "goal", "epoch"), HELD.values(), ids=HELD.keys())
def test_a_plan_that_was_rolled_back_is_held_until_another_is_wanted(
    made: tuple[Made, ...], goal: str, epoch: int | None
) -> None:
    found = held_back(PLANS[goal], history(*made))
    assert (found.epoch if found else None) == epoch


TARGETS = {
    "the plan before": ((A1, ("B", UPGRADE, "runs")), 1),
    "not the same plan": ((A1, ("A", Cause.RESTART, "ran"), ("B", UPGRADE, "runs")), 2),
    "not one that nobody knows to have run": ((A1, ("C", UPGRADE, "fell"), ("B", UPGRADE, "runs")), 1),
    "not one that was rolled back": ((A1, ("B", UPGRADE, "ran"), ("A", ROLLBACK, "ran"), ("C", UPGRADE, "runs")), 3),
    "not the one that it came from": (
        (("C", DEPLOY, "ran"), ("A", UPGRADE, "ran"), ("B", UPGRADE, "ran"), ("A", ROLLBACK, "runs")),
        1,
    ),
    "not one that was refused": ((A1, ("C", UPGRADE, "refused"), ("B", UPGRADE, "runs")), 1),
}


@pytest.mark.parametrize(("made", "epoch"), TARGETS.values(), ids=TARGETS.keys())
def test_a_rollback_goes_to_the_newest_other_plan_that_ran_well(made: tuple[Made, ...], epoch: int) -> None:
    assert rollback_target(history(*made)).epoch == epoch


def test_a_person_may_name_any_epoch_that_ran() -> None:
    made = history(A1, B_FELL, BACK)
    assert rollback_target(made, 2).plan == PLANS["B"]
    with pytest.raises(InvalidSpec, match=r"epoch 9 never ran.*3 \(rollback\), 2 \(upgrade\), 1 \(deploy\)"):
        rollback_target(made, 9)


@pytest.mark.parametrize("made", [(), (("A", DEPLOY, "runs"),), (("A", DEPLOY, "fell"), ("B", UPGRADE, "runs"))])
def test_without_a_plan_that_ran_well_nothing_is_guessed(made: tuple[Made, ...]) -> None:
    with pytest.raises(InvalidSpec):
        rollback_target(history(*made))
