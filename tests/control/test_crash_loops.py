"""What the health assessment says of a router that starts again and again, and so is whole at most moments."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from keystone_platform.control.goal import Goal
from keystone_platform.control.health import assess
from keystone_platform.control.measure import measure
from keystone_platform.control.memory import Memory
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.report import Report
from keystone_platform.control.sweep import sweep
from keystone_platform.plan.crash_loop import MAX_RESTARTS, WINDOW
from keystone_platform.plan.decide import Request
from tests.control.fakes import World, a_plan, make_world

ROUTE = "playback.warehouse"


class Watched:
    """A route that runs, looked at as the sensor does."""

    def __init__(self, folder: Path) -> None:
        self.world: World = make_world(folder)
        self.memories: dict[str, Memory] = {}
        self.reports: list[Report] = []
        self.apply()

    def apply(self, request: Request = Request.CONVERGE) -> None:
        (verdict,) = reconcile(self.world.gateways, [Goal(a_plan(ROUTE), 1)], request)
        assert verdict.ok, verdict.message
        self.job_id = verdict.deployment.job_id if verdict.deployment else ""

    def tick(self, restarts: int, after: timedelta = timedelta(seconds=10)) -> Report:
        """Return what was reported last."""
        self.world.clock.time += after
        self.world.flink.restarted[self.job_id] = restarts
        statuses = sweep(self.world.gateways, [ROUTE])
        found = measure(self.world.gateways, statuses, self.memories)
        (assessed,) = assess(statuses, self.memories, frozenset(), self.world.clock.now(), found)
        self.memories = {ROUTE: assessed.memory}
        self.reports.extend([assessed.report] if assessed.report else [])
        return self.reports[-1]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_loop_fails_the_check_with_its_exception_though_every_subtask_runs(watched: Watched) -> None:
    assert watched.tick(0).passed
    assert watched.tick(MAX_RESTARTS - 1).passed
    looping = watched.tick(MAX_RESTARTS)
    assert not looping.passed
    assert looping.text == "it starts again and again: java.lang.Exception: it fails"
    watched.tick(MAX_RESTARTS + 5)
    assert len(watched.reports) == 2, "one more restart is no news"


def test_it_is_healthy_again_when_it_has_not_restarted_for_long_enough(watched: Watched) -> None:
    watched.tick(MAX_RESTARTS)
    assert not watched.tick(MAX_RESTARTS).passed
    watched.tick(MAX_RESTARTS, after=WINDOW)
    assert watched.tick(MAX_RESTARTS, after=WINDOW).passed


def test_restarts_from_before_the_sensor_began_to_look_do_not_count(watched: Watched) -> None:
    watched.world.clock.time += 2 * WINDOW
    assert watched.tick(100).passed
    assert not watched.tick(100 + MAX_RESTARTS).passed


def test_a_few_restarts_a_day_are_no_loop(watched: Watched) -> None:
    for restarts in range(10):
        assert watched.tick(restarts, after=timedelta(hours=2)).passed


def test_another_deployment_begins_anew(watched: Watched) -> None:
    watched.tick(MAX_RESTARTS)
    watched.apply(Request.RESTART)
    assert watched.tick(1).passed
