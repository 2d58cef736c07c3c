"""Several at once who would change one route: one of them does, the others find it done, and the last edit holds."""

from __future__ import annotations

import time

import pytest

from keystone_platform.gateways.dagster_api import PLATFORM_LOCATION, RunStatus
from tests.drills.control_plane.steered import ROUTES, WAREHOUSE, Applying, Steered, steered_yaml

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

EDITS = ("n", "country", "n, country, padding", "country, n", "n, {place: country}")
EDITED_EVERY_S = 12.0


def test_two_applies_at_once(steered: Steered) -> None:
    before = steered.latest(WAREHOUSE)
    with steered.drill("two `keystone apply` at once"):
        steered.declare(steered_yaml(interval_s=5))
        rivals = [Applying(), Applying()]
        for rival in rivals:
            print(rival.ended())
    assert [rival.process.returncode for rival in rivals] == [0, 0]
    assert steered.latest(WAREHOUSE).epoch == before.epoch + 1


def test_an_apply_against_dagsters_launch(steered: Steered) -> None:
    before = steered.latest(WAREHOUSE)
    dagster = steered.platform.dagster
    with steered.drill("`keystone apply` against Dagster's launch"):
        steered.declare(steered_yaml(interval_s=6))
        run = dagster.launch_assets(PLATFORM_LOCATION, [["router", *route.split(".")] for route in ROUTES])
        applying = Applying()
        print(applying.ended())
        status = dagster.wait(run, 420)
        print(f"run: {status} {dagster.failures(run)}")
    assert (applying.process.returncode, status) == (0, RunStatus.SUCCESS)
    assert steered.latest(WAREHOUSE).epoch == before.epoch + 1


def test_five_edits_in_a_minute(steered: Steered) -> None:
    before = steered.latest(WAREHOUSE)
    with steered.drill("five edits in a minute, each applied at once"):
        began, applying = time.monotonic(), []
        for select in EDITS:
            steered.declare(steered_yaml(select))
            applying.append(Applying())
            time.sleep(EDITED_EVERY_S)
        written = [each.ended() for each in applying]
        print("\n".join(written))
        print(f"all have ended {time.monotonic() - began:.0f} s after the first edit")
        for text, each in zip(written, applying, strict=True):  # a JVM may, on a slow machine
            assert each.process.returncode == 0 or "took longer than" in text
        last = Applying()  # which has nothing to do, unless that was so
        print(last.ended())
        assert last.process.returncode == 0
    after = steered.latest(WAREHOUSE)
    print(f"{after.epoch - before.epoch} deployments for {len(EDITS)} edits")
    assert after.plan == steered.platform.plan(WAREHOUSE)
    assert [column.name for column in after.plan.columns] == ["n", "place"]
