"""When a redeploy is asked for, over time: one sweep after another through the pure health assessment."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from keystone_platform.control.health import GRACE, Assessment, assess
from keystone_platform.control.memory import HEARTBEAT, Memory
from keystone_platform.control.sweep import RouteStatus
from keystone_platform.plan.deployment import Cause, Deployment, Outcome
from keystone_platform.plan.healing import FIRST_BACKOFF, MAX_ATTEMPTS, SETTLED
from keystone_platform.plan.lifecycle import ACT_TIMEOUT, Lifecycle
from tests.control.fake_servers import FakeClock
from tests.control.fakes import a_plan

ROUTE = "playback.warehouse"


class Watch:
    """Runs one assessment after another, as the sensor does with its cursor."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.memories: dict[str, Memory] = {}
        self.epoch = 1
        self.ended_at: datetime | None = None

    def tick(self, state: Lifecycle, *, after: timedelta = timedelta(seconds=10), busy: bool = False) -> Assessment:
        self.clock.time += after
        last = Deployment(
            ROUTE, self.epoch, "j", a_plan(), Cause.DEPLOY, None, self.clock.now(), outcome=Outcome.SUBMITTED
        )
        last = replace(last, ended_at=self.ended_at)
        status = RouteStatus(ROUTE, state, last, None)
        (item,) = assess([status], self.memories, frozenset({ROUTE}) if busy else frozenset(), self.clock.now())
        self.memories = {ROUTE: item.memory}
        return item


def test_asks_at_once_when_the_job_is_gone_and_reports_it() -> None:
    watch = Watch()
    watch.tick(Lifecycle.RUNNING)
    gone = watch.tick(Lifecycle.GONE)
    assert gone.attempt is not None
    assert (gone.attempt.epoch, gone.attempt.attempts) == (1, 1)
    assert gone.report is not None
    assert not gone.report.passed


def test_waits_for_its_backoff_before_it_asks_again() -> None:
    watch = Watch()
    assert watch.tick(Lifecycle.FAILED).attempt
    assert watch.tick(Lifecycle.FAILED).attempt is None
    second = watch.tick(Lifecycle.FAILED, after=FIRST_BACKOFF)
    assert second.attempt and second.attempt.attempts == 2
    assert watch.tick(Lifecycle.FAILED, after=FIRST_BACKOFF).attempt is None


def test_does_not_ask_while_a_run_is_at_it() -> None:
    watch = Watch()
    assert watch.tick(Lifecycle.GONE, busy=True).attempt is None
    assert watch.tick(Lifecycle.GONE).attempt


def test_leaves_a_router_that_is_being_replaced_to_who_does_it_until_he_counts_as_dead() -> None:
    watch = Watch()
    watch.tick(Lifecycle.RUNNING)
    watch.ended_at = watch.clock.now()
    replaced = watch.tick(Lifecycle.REPLACING)
    assert (replaced.attempt, replaced.report, replaced.memory.incident) == (None, None, None)
    assert watch.tick(Lifecycle.REPLACING, after=ACT_TIMEOUT).attempt


def test_asks_although_a_run_is_at_it_when_who_acted_counts_as_dead() -> None:
    watch = Watch()
    assert watch.tick(Lifecycle.ABANDONED, busy=True).attempt, "Dagster does not see a run die with its code server"
    assert watch.tick(Lifecycle.ABANDONED, busy=True).attempt is None, "not at every tick"


def test_gives_up_loudly_when_all_attempts_are_used() -> None:
    watch = Watch()
    asked = [watch.tick(Lifecycle.REFUSED, after=timedelta(hours=1)).attempt for _ in range(MAX_ATTEMPTS + 3)]
    assert sum(attempt is not None for attempt in asked) == MAX_ATTEMPTS
    report = watch.tick(Lifecycle.REFUSED, after=timedelta(hours=1)).report
    assert report is not None
    assert report.given_up
    assert "a person is needed" in report.text


def test_a_crash_loop_uses_up_the_attempts_of_one_incident() -> None:
    watch = Watch()
    asked = 0
    for _ in range(40):
        asked += watch.tick(Lifecycle.FAILED, after=timedelta(minutes=4)).attempt is not None
        watch.epoch += 1
        watch.tick(Lifecycle.RUNNING)
    assert asked == MAX_ATTEMPTS


def test_an_incident_is_over_when_the_router_has_settled() -> None:
    watch = Watch()
    for _ in range(3):
        watch.tick(Lifecycle.GONE, after=timedelta(minutes=5))
    watch.tick(Lifecycle.RUNNING)
    watch.tick(Lifecycle.RUNNING, after=SETTLED)
    again = watch.tick(Lifecycle.GONE)
    assert again.attempt and again.attempt.attempts == 1


def test_never_asks_for_what_was_stopped_on_purpose() -> None:
    watch = Watch()
    stopped = watch.tick(Lifecycle.STOPPED)
    assert stopped.attempt is None
    assert stopped.report and stopped.report.passed


def test_reports_a_start_only_when_it_takes_too_long() -> None:
    watch = Watch()
    assert watch.tick(Lifecycle.UNSETTLED).report is None
    late = watch.tick(Lifecycle.UNSETTLED, after=GRACE)
    assert late.report and not late.report.passed
    assert late.attempt is None


def test_reports_on_change_and_then_only_as_a_heartbeat() -> None:
    watch = Watch()
    assert watch.tick(Lifecycle.RUNNING).report
    assert watch.tick(Lifecycle.RUNNING).report is None
    assert watch.tick(Lifecycle.RUNNING, after=HEARTBEAT).report


def test_a_wiped_cursor_names_the_same_first_attempt_again() -> None:
    watch = Watch()
    first = watch.tick(Lifecycle.GONE).attempt
    watch.memories = {}
    again = watch.tick(Lifecycle.GONE).attempt
    assert first and again
    assert (first.epoch, first.attempts) == (again.epoch, again.attempts)
