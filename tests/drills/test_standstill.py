"""A router that runs and whose checkpoints fail is told of, with Flink's cause, and is left to run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import pytest

from keystone_platform.control.health import Assessment, assess
from keystone_platform.control.measure import measure
from keystone_platform.control.memory import Memory
from keystone_platform.control.report import Report
from keystone_platform.control.sweep import sweep
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.plan.stall import LEAST_PATIENCE
from keystone_platform.stack.embedded import EmbeddedStack
from tests.drills.fault_proxy import Fault, FaultProxy
from tests.drills.load import Drilled, Load
from tests.e2e.platform import Platform, wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1800)]

ROUTE = "stalled.onward"
STALLED = Drilled(
    "stalled",
    """\
stream: stalled
owner: team:tests
partitions: 2
schema: {n: bigint, country: string}
routes:
  - name: onward
    sink: {kafka: {topic: stalled.onward}}
    checkpoint_interval_s: 3
""",
    [ROUTE],
)
TICK_S = 10.0


class Sensor:
    """Looks every ten seconds, as the health sensor does, and remembers what was told last of the router's progress."""

    def __init__(self, platform: Platform) -> None:
        self._gateways = platform.gateways
        self._memories: Mapping[str, Memory] = {}
        self._next = 0.0
        self.told: list[Report] = []

    def look(self) -> Assessment | None:
        if time.monotonic() < self._next:
            return None
        self._next = time.monotonic() + TICK_S
        statuses, now = sweep(self._gateways, [ROUTE]), self._gateways.clock.now()
        found = measure(self._gateways, statuses, self._memories)
        (assessed,) = assess(statuses, self._memories, frozenset(), now, found)
        self._memories = {ROUTE: assessed.memory}
        self.told.extend([assessed.progress] if assessed.progress else [])
        return assessed


def test_checkpoints_that_fail_fail_the_check_of_a_router_that_goes_on_running(
    drilled: tuple[EmbeddedStack, FaultProxy], load_of: Callable[[Drilled], Load]
) -> None:
    _, proxy = drilled
    load = load_of(STALLED)
    sensor = Sensor(load.platform)

    def failed() -> bool:
        looked = sensor.look()
        assert looked is None or looked.attempt is None, "a restart mends nothing"
        return looked is not None and looked.status.state is Lifecycle.RUNNING and sensor.told[-1].given_up

    with load.drill("object store refuses until the check of progress is an error") as watch:
        with proxy.failing(Fault.REFUSES_503):
            wait_for("the check fails", failed, LEAST_PATIENCE.total_seconds() + 300)
        wait_for("the check passes", lambda: sensor.look() and sensor.told[-1].passed, 300)
    assert [report.passed for report in sensor.told] == [True, False, False, True], "first a warning, then an error"
    assert [report.given_up for report in sensor.told] == [False, False, True, False]
    assert "failed in a row" in sensor.told[2].text
    assert watch.during(ROUTE) > 0
    assert watch.repeated[ROUTE] == 0, "it was not started anew"
