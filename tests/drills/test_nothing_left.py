"""Savepoints and checkpoints gone, under load: the table itself says where its router has to go on."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from keystone_platform.plan.recovery import positions_of
from tests.drills.load import Drilled, Load

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

ROUTE = "bereft.warehouse"

DRILLED = Drilled(
    "bereft",
    """\
stream: bereft
owner: team:tests
partitions: 2
schema: {n: bigint, country: string}
routes:
  - sink: {warehouse: {table: tests.bereft}}
    checkpoint_interval_s: 3
""",
    (ROUTE,),
)


def test_cancelled_with_its_checkpoints_deleted(load_of: Callable[[Drilled], Load]) -> None:
    load = load_of(DRILLED)
    gateways = load.platform.gateways
    with load.drill("cancelled, its checkpoints deleted, then `keystone apply`") as watch:
        gateways.flink.cancel(load.platform.latest(ROUTE).job_id, 60)
        assert gateways.objects.delete_prefix(gateways.checkpoint_directory(ROUTE) + "/") > 0
        time.sleep(5)
        assert [verdict.message for verdict in load.apply() if not verdict.ok] == []
    assert positions_of(load.platform.latest(ROUTE).restore_from)
    assert watch.truths[ROUTE].is_exact
