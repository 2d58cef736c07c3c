"""The measured cases of `make bench-control`, each run in a process of its own: `python -m bench.control_cases CASE`.

Prints one JSON object: what the case itself took, after imports and set-up. The environment names the fleet.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from keystone_platform.control.goals import wanted
from keystone_platform.control.report_limit import MOST_REPORTS
from keystone_platform.control.sweep import sweep
from keystone_platform.definitions import definitions_of
from keystone_platform.defs.resource import KeystoneResource
from keystone_platform.plan.decide import Act, Request, decide
from keystone_platform.plan.plan_router import plan_fleet
from keystone_platform.settings import last_good_folder, load_settings, streams_folder
from keystone_platform.spec.last_good import load_or_remember
from keystone_platform.spec.loader import load_streams
from keystone_platform.wiring import connect

Work = Callable[[], object]
"""What is measured."""


def main() -> None:
    """Run the case that the command line names."""
    work = CASES[sys.argv[1]]()
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    figures = {
        "cpu_s": round(time.process_time() - cpu, 3),
        "wall_s": round(time.perf_counter() - wall, 3),
        "rss_mb": round(peak_memory_mb("self"), 1),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


def peak_memory_mb(pid: int | str) -> float:
    """Return the most memory that the process had since it began its program, MiB; 0 when it is gone.

    `ru_maxrss` would count what its parent had when it started it.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def _plan() -> Work:
    return lambda: plan_fleet(load_streams(streams_folder(os.environ)))


def _sweep() -> Work:
    """Sweep as the sensor does: in a process that has swept before."""
    gateways, goals = connect(load_settings()), wanted(streams_folder(os.environ), ()).goals
    sweep(gateways, [goal.route for goal in goals])
    return lambda: sweep(gateways, [goal.route for goal in goals])


def _decide() -> Work:
    gateways, goals = connect(load_settings()), wanted(streams_folder(os.environ), ()).goals

    def work() -> None:
        now = gateways.clock.now()
        statuses = sweep(gateways, [goal.route for goal in goals])
        acts = [
            decide(goal.plan, Request.CONVERGE, status.last, status.job, now).act
            for goal, status in zip(goals, statuses, strict=True)
        ]
        assert acts.count(Act.START) == len(goals) // 50, "a fiftieth is down"
        assert acts.count(Act.NOTHING) == len(goals) - len(goals) // 50, "the others run as declared"

    return work


class _Sensor:
    """The health sensor on an instance with databases, as the daemon ticks it."""

    def __init__(self) -> None:
        fleet = load_or_remember(streams_folder(os.environ), last_good_folder(os.environ))
        self._keystone = KeystoneResource()
        self._definitions = definitions_of(fleet, self._keystone)
        self._sensor = self._definitions.get_repository_def().get_sensor_def("router_health")
        self._instance = dg.DagsterInstance.get()
        self._cursor: str | None = None

    def tick(self) -> int:
        """Evaluate the sensor, as the code server does, then write down its events, as the daemon does; count them."""
        context = dg.build_sensor_context(
            instance=self._instance,
            cursor=self._cursor,
            definitions=self._definitions,
            resources={"keystone": self._keystone},
        )
        found = self._sensor.evaluate_tick(context)
        for event in found.asset_events:
            self._instance.report_runless_asset_event(event)
        self._cursor = found.cursor
        return len(found.asset_events)


def _first_tick() -> Work:
    return _Sensor().tick


def _next_tick() -> Work:
    sensor = _Sensor()
    while sensor.tick() >= MOST_REPORTS:
        continue  # until everything was told once
    return sensor.tick


CASES: dict[str, Callable[[], Work]] = {
    "plan all": _plan,
    "sweep": _sweep,
    "sweep and decide": _decide,
    "sensor tick, all to report": _first_tick,
    "sensor tick, little new": _next_tick,
}
"""Set-up of each case by its name; it returns what is measured."""


if __name__ == "__main__":
    main()
