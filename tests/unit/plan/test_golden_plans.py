"""The example streams' plans, byte for byte. A change here is a change of every router that runs.

`UPDATE_GOLDEN=1 pytest tests/unit/plan/test_golden_plans.py` writes them anew; look at the diff before you commit it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from keystone_platform.plan.plan_router import plan_fleet
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.spec.loader import load_streams

GOLDEN = Path(__file__).parents[2] / "golden" / "plans"
STREAMS = Path(__file__).parents[3] / "streams"

PLANS = plan_fleet(load_streams(STREAMS)).plans


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.route)
def test_a_plan_does_not_change_unnoticed(plan: RouterPlan) -> None:
    file = GOLDEN / f"{plan.route}.json"
    text = json.dumps({"digest": plan.digest, "plan": json.loads(plan.canonical_json())}, indent=2) + "\n"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.write_text(text)
    assert text == file.read_text()


def test_no_golden_plan_is_left_of_a_route_that_is_gone() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == {plan.route for plan in PLANS}
