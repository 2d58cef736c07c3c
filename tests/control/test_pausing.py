"""What the health assessment says of routers whose events die, and what a pause does to them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from keystone_platform.control.goal import Goal
from keystone_platform.control.health import Assessment, Expected, assess
from keystone_platform.control.measure import measure
from keystone_platform.control.memory import Memory
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.sweep import sweep
from keystone_platform.plan.decide import Act, Request
from keystone_platform.plan.deployment import Cause, End
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.spec.models import DeadLetterLimit
from tests.control.fakes import World, a_plan, make_world

ROUTE = "playback.warehouse"
WARN = DeadLetterLimit(max_ratio=0.01)
PAUSE = DeadLetterLimit(max_ratio=0.01, on_exceed="pause")


class Watched:
    """A route that runs, looked at as the sensor does."""

    def __init__(self, folder: Path, limit: DeadLetterLimit) -> None:
        self.world: World = make_world(folder)
        self.limit = limit
        self.memories: dict[str, Memory] = {}
        self.apply()

    def apply(self) -> None:
        (verdict,) = reconcile(self.world.gateways, [Goal(a_plan(ROUTE), 1, self.limit)])
        assert verdict.ok, verdict.message
        self.job_id = verdict.deployment.job_id if verdict.deployment else ""

    def tick(self, events: int, dead: int, *, busy: bool = False) -> Assessment:
        self.world.clock.time += timedelta(seconds=10)
        self.world.flink.count(self.job_id, events, dead)
        statuses = sweep(self.world.gateways, [ROUTE])
        found = measure(self.world.gateways, statuses, self.memories)
        taken, now = frozenset({ROUTE}) if busy else frozenset(), self.world.clock.now()
        (assessed,) = assess(statuses, self.memories, taken, now, found, {ROUTE: Expected(self.limit)})
        self.memories = {ROUTE: assessed.memory}
        return assessed


def test_a_share_above_the_limit_fails_the_check_once_and_names_the_way_on(tmp_path: Path) -> None:
    watched = Watched(tmp_path, WARN)
    good = watched.tick(1_000, 5).report
    assert good is not None
    assert good.passed
    bad = watched.tick(2_000, 500)
    assert bad.report is not None
    assert not bad.report.passed
    assert "keystone dlq show playback" in bad.report.text
    assert (bad.pause, bad.attempt) == (None, None)
    assert watched.tick(2_100, 550).report is None


def test_a_pause_is_asked_for_only_where_the_route_wants_it_and_nobody_is_at_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path, PAUSE)
    assert watched.tick(1_000, 5).pause is None
    assert watched.tick(2_000, 500, busy=True).pause is None
    asked = watched.tick(2_000, 500).pause
    assert asked == "500 of 2,000 events died (25.0%), more than 1.0%"


def test_a_paused_router_stays_so_and_says_why_until_it_is_applied_again(tmp_path: Path) -> None:
    watched = Watched(tmp_path, PAUSE)
    goal = Goal(a_plan(ROUTE), 1, PAUSE, why="500 of 2,000 events died")
    (verdict,) = reconcile(watched.world.gateways, [goal], Request.PAUSE)
    last = verdict.deployment
    assert last is not None
    assert (verdict.action.act, last.end, last.note) == (Act.PAUSE, End.PAUSED, "500 of 2,000 events died")
    assert last.savepoint is not None

    found = watched.tick(0, 0)
    assert found.status.state is Lifecycle.PAUSED
    assert found.report is not None
    assert (found.report.passed, found.report.given_up, found.attempt) == (False, True, None)
    assert "500 of 2,000 events died" in found.report.text
    assert f"keystone apply {ROUTE}" in found.report.text

    watched.apply()
    again = watched.world.ledger.latest()[ROUTE]
    assert (again.epoch, again.cause, again.restore_from) == (2, Cause.DEPLOY, last.savepoint)
    assert watched.tick(10, 0).report is not None


def test_a_router_that_does_not_run_is_not_paused(tmp_path: Path) -> None:
    watched = Watched(tmp_path, PAUSE)
    reconcile(watched.world.gateways, [Goal(a_plan(ROUTE), 1)], Request.STOP)
    (verdict,) = reconcile(watched.world.gateways, [Goal(a_plan(ROUTE), 1)], Request.PAUSE)
    assert verdict.action.act is Act.NOTHING
    assert watched.world.ledger.latest()[ROUTE].end is End.STOPPED


def test_a_cluster_that_does_not_tell_is_no_alarm(tmp_path: Path) -> None:
    watched = Watched(tmp_path, WARN)
    statuses = sweep(watched.world.gateways, [ROUTE])
    watched.world.flink.reachable = False
    assert measure(watched.world.gateways, statuses, {}) == {}
