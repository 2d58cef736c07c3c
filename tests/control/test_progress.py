"""What the health assessment tells of a router's progress, when, and what it takes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from keystone_platform.control.goal import Goal
from keystone_platform.control.health import Assessment, Expected, assess
from keystone_platform.control.measure import measure
from keystone_platform.control.memory import HEARTBEAT, STALLED_HEARTBEAT, Memory
from keystone_platform.control.progress_now import progress_now
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.sweep import sweep
from keystone_platform.plan.decide import Request
from keystone_platform.plan.observation import JobState
from tests.control.fakes import World, a_plan, make_world

ROUTE = "playback.warehouse"


class Watched:
    """A route that runs, looked at as the sensor does."""

    def __init__(self, folder: Path) -> None:
        self.world: World = make_world(folder)
        self.memories: dict[str, Memory] = {}
        self.apply()

    def apply(self, request: Request = Request.CONVERGE) -> None:
        (verdict,) = reconcile(self.world.gateways, [Goal(a_plan(ROUTE), 1)], request)
        assert verdict.ok, verdict.message
        self.job_id = verdict.deployment.job_id if verdict.deployment else ""

    def tick(
        self, after: timedelta = timedelta(seconds=10), *, checkpoint: bool = True, max_lag_s: int = 300
    ) -> Assessment:
        self.world.clock.time += after
        if checkpoint:
            self.world.flink.checkpoint(self.job_id)
        statuses = sweep(self.world.gateways, [ROUTE])
        found = measure(self.world.gateways, statuses, self.memories)
        expected = {ROUTE: Expected(max_lag_s=max_lag_s)}
        (item,) = assess(statuses, self.memories, frozenset(), self.world.clock.now(), found, expected)
        self.memories = {ROUTE: item.memory}
        return item


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_router_without_checkpoints_fails_the_check_once_though_it_runs_and_is_not_restarted(
    watched: Watched,
) -> None:
    first = watched.tick().progress
    assert first is not None
    assert first.passed
    late = watched.tick(timedelta(minutes=6), checkpoint=False)
    assert late.progress is not None
    assert (late.progress.passed, late.progress.given_up) == (False, True)
    assert "no checkpoint for 6 min" in late.progress.text
    assert (late.attempt, late.pause, late.rollback) == (None, None, None)
    assert late.status.job is not None
    assert late.status.job.is_running
    assert watched.tick(checkpoint=False).progress is None, "older by ten seconds is no news"
    well = watched.tick().progress
    assert well is not None
    assert well.passed


def test_it_is_told_again_now_and_then_and_sooner_while_it_does_not_get_on(watched: Watched) -> None:
    watched.tick()
    assert watched.tick(STALLED_HEARTBEAT).progress is None
    assert watched.tick(HEARTBEAT).progress
    assert watched.tick(timedelta(minutes=6), checkpoint=False).progress
    assert watched.tick(STALLED_HEARTBEAT, checkpoint=False).progress


def test_figures_are_there_to_plot_at_each_measurement(watched: Watched) -> None:
    watched.world.flink.count(watched.job_id, 5_000)
    figures = watched.tick().figures
    assert figures is not None
    assert (figures.lag_events, figures.parallelism, figures.checkpoint_age_s) == (0, 1, 0)


def test_what_the_yaml_says_of_lag_counts(watched: Watched) -> None:
    for minute in range(12):
        watched.world.flink.count(watched.job_id, 600 * minute)
        reading = watched.world.flink.reading[watched.job_id]
        watched.world.flink.reading[watched.job_id] = replace(reading, lag=1_200 * minute)
        item = watched.tick(timedelta(minutes=1), max_lag_s=600)
    assert not item.memory.stalled, "7 minutes behind"
    late = watched.tick(max_lag_s=60)
    assert late.progress is not None
    assert (late.progress.passed, late.progress.given_up) == (False, False)


def test_a_stop_takes_back_what_was_told_of_its_progress(watched: Watched) -> None:
    watched.tick()
    watched.tick(timedelta(minutes=6), checkpoint=False)
    watched.apply(Request.STOP)
    stopped = watched.tick(checkpoint=False).progress
    assert stopped is not None
    assert (stopped.passed, stopped.text) == (True, "nothing runs (stopped)")
    assert watched.tick(checkpoint=False).progress is None


def test_a_router_that_is_starting_is_not_told_to_stand_still(watched: Watched) -> None:
    watched.tick()
    watched.world.flink.set_state(watched.job_id, JobState.RESTARTING)
    assert watched.tick(timedelta(minutes=20), checkpoint=False).progress is None
    watched.world.flink.set_state(watched.job_id, JobState.RUNNING)
    assert watched.tick(checkpoint=False).memory.stalled is False


def test_who_asks_now_gets_a_verdict_without_what_came_before(watched: Watched) -> None:
    watched.world.clock.time += timedelta(minutes=6)
    now = progress_now(watched.world.gateways, sweep(watched.world.gateways, [ROUTE]), {})
    assert now[ROUTE].report is not None
    assert not now[ROUTE].report.passed
    assert now[ROUTE].failure == ""
