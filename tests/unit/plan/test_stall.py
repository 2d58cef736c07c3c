"""What is said of routers that run and do not get on; and that nothing is said of those that do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from keystone_platform.plan.observation import CheckpointAttempt, Checkpoints
from keystone_platform.plan.progress import Committing, JobProgress, Reading
from keystone_platform.plan.stall import MOST_STILL, Finding, Judged, Kind, find_stalls
from keystone_platform.plan.trail import WINDOW, Trail, follow

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
IDLE = Reading(parallelism=1, events=0, per_s=0.0, lag=0, busy=0.01, backpressured=0.0)
COMPLETED = CheckpointAttempt(7, "completed", False, START, 0.1, 1_000)
FAILED = replace(COMPLETED, status="failed", failure="503 Slow Down")
UNDER_WAY = replace(COMPLETED, status="in progress")
NO_FAILURE = Checkpoints(1, 0, None, START, None)
JOB = "0" * 32


@dataclass
class Router:
    """A router that is measured every minute; a checkpoint of it has just completed unless a test says otherwise."""

    at: datetime = START
    trail: Trail | None = None
    reading: Reading = IDLE
    interval_s: int = 10
    max_lag_s: int = 300
    checkpoints: Checkpoints = NO_FAILURE
    has_checkpoints: bool = True
    committing: Committing | None = None
    ends: int = 0

    def after(
        self,
        minutes: int,
        *,
        read: int = 0,
        lag: int | None = None,
        arrive: int = 0,
        busy: float | None = None,
        backpressured: float | None = None,
        ends: int = 0,
    ) -> tuple[Finding, ...]:
        """Let minutes pass, in each of which so many are read and come, and return what is found then.

        `lag` is what Flink says of it, where that is not what follows; `ends` is by how much the topics' ends move.
        """
        for _ in range(minutes):
            self.at += MINUTE
            before = self.reading
            self.reading = replace(
                before,
                events=before.events + read,
                lag=lag if lag is not None else (before.lag or 0) + arrive - read,
                busy=before.busy if busy is None else busy,
                backpressured=before.backpressured if backpressured is None else backpressured,
            )
            if self.has_checkpoints:
                self.checkpoints = replace(self.checkpoints, latest_at=self.at)
            self.ends += ends
            self.trail = follow(self.trail, JOB, self.measured(), self.ends)
        return find_stalls(self.judged())

    def measured(self) -> JobProgress:
        return JobProgress(self.at, 0, self.checkpoints, self.reading, 0, self.committing)

    def judged(self) -> Judged:
        return Judged(self.measured(), self.trail, self.interval_s, self.max_lag_s, START, self.at)


def kinds(found: tuple[Finding, ...]) -> list[tuple[Kind, bool]]:
    return [(finding.kind, finding.is_error) for finding in found]


def test_a_router_that_reads_what_comes_is_well() -> None:
    assert Router().after(30, read=60_000, lag=500, busy=0.4) == ()


def test_a_quiet_topic_is_well() -> None:
    assert Router().after(300) == ()


def test_one_that_has_read_nothing_yet_is_well() -> None:
    router = Router(reading=replace(IDLE, lag=None))
    router.at += 10 * MINUTE
    router.checkpoints = replace(router.checkpoints, latest_at=router.at)
    router.trail = follow(None, JOB, router.measured())
    assert router.trail is None
    assert find_stalls(router.judged()) == ()


@pytest.mark.parametrize(("interval_s", "minutes"), [(10, 5), (1, 5), (120, 10), (600, 50)])
def test_a_checkpoint_is_too_old_after_five_intervals_and_never_before_five_minutes(
    interval_s: int, minutes: int
) -> None:
    router = Router(interval_s=interval_s, has_checkpoints=False)
    assert router.after(minutes, read=100, lag=0) == ()
    assert kinds(router.after(1, read=100, lag=0)) == [(Kind.CHECKPOINT_TOO_OLD, True)]


def test_failed_checkpoints_are_told_with_flinks_cause_first_as_a_warning_then_as_an_error() -> None:
    router = Router(has_checkpoints=False)
    router.checkpoints = replace(router.checkpoints, history=(FAILED, FAILED, COMPLETED, FAILED))
    assert router.after(1, read=100, lag=0) == ()
    router.checkpoints = replace(router.checkpoints, history=(UNDER_WAY, FAILED, FAILED, FAILED, COMPLETED))
    (early,) = router.after(1, read=100, lag=0)
    assert (early.kind, early.is_error) == (Kind.CHECKPOINTS_FAIL, False)
    (late,) = router.after(10, read=100, lag=0)
    assert (late.kind, late.is_error) == (Kind.CHECKPOINT_TOO_OLD, True)
    assert "503 Slow Down" in early.text
    assert "503 Slow Down" in late.text


def test_what_could_not_happen_while_it_did_not_run_is_not_held_against_it() -> None:
    router = Router()
    router.after(1)
    router.at += 60 * MINUTE
    assert find_stalls(replace(router.judged(), running_since=router.at)) == ()


@pytest.mark.parametrize(
    ("busy", "backpressured", "where"),
    [(1.0, 0.97, "waits for the sink 97%"), (1.0, 0.0, "busy 100%"), (0.1, 0.0, "look at the brokers")],
)
def test_one_that_reads_nothing_though_there_is_something_is_an_error_that_says_where_to_look(
    busy: float, backpressured: float, where: str
) -> None:
    router = Router()
    router.after(10, read=600, lag=1_000, busy=busy, backpressured=backpressured)
    assert router.after(int(MOST_STILL / MINUTE), lag=1_000) == ()
    (still,) = router.after(1, lag=1_000)
    assert (still.kind, still.is_error) == (Kind.STANDS_STILL, True)
    assert "1,000 events wait" in still.text
    assert where in still.text
    assert router.after(1, read=1, lag=999) == ()


def test_the_lag_of_a_source_that_is_held_up_is_counted_at_the_topics_ends() -> None:
    router = Router()
    router.after(6, read=600, lag=0, busy=0.5)
    assert router.after(1, lag=0, busy=0.8, ends=1_000) == ()
    (still,) = router.after(5, lag=0, busy=1.0, ends=1_000)
    assert still.kind is Kind.STANDS_STILL
    assert "5,000 events wait" in still.text


def test_transaction_markers_that_move_the_ends_of_a_topic_that_is_read_to_its_end_are_no_lag() -> None:
    router = Router()
    router.after(6, read=600, lag=0, busy=0.1)
    assert router.after(30, lag=0, ends=1_000) == ()


def test_one_that_falls_behind_is_a_warning_when_it_is_late_and_fully_backpressured_alone_is_none() -> None:
    router = Router()
    assert router.after(10, read=6_000, arrive=6_000, busy=1.0, backpressured=1.0) == ()
    assert router.after(int(WINDOW / MINUTE), read=3_000, arrive=6_000) == (), "not late enough yet"
    (late,) = router.after(10, read=3_000, arrive=6_000)
    assert (late.kind, late.is_error) == (Kind.FALLS_BEHIND, False)
    assert "45,000 events" in late.text
    assert "waits for the sink 100%" in late.text


def test_one_that_is_far_behind_and_catches_up_is_well() -> None:
    router = Router(reading=replace(IDLE, lag=10_000_000, busy=1.0))
    assert router.after(20, read=60_000, arrive=6_000) == ()
    assert router.trail is not None
    assert router.trail.catch_up_s == pytest.approx(8_920_000 / 900, rel=0.01)


def test_one_that_would_take_weeks_does_not_catch_up() -> None:
    router = Router(reading=replace(IDLE, lag=10_000_000, busy=1.0))
    assert kinds(router.after(20, read=6_010, arrive=6_000)) == [(Kind.FALLS_BEHIND, False)]


def test_a_team_that_bears_more_lag_is_not_told_of_less() -> None:
    router = Router(max_lag_s=3600)
    assert router.after(30, read=3_000, arrive=6_000, busy=1.0) == ()


def test_rows_that_wait_for_their_commit_are_an_error_and_a_quiet_table_is_none() -> None:
    router = Router(committing=Committing(written=100, committed=100, age_s=3_600))
    assert router.after(60) == ()
    router.committing = Committing(written=101, committed=100, age_s=10)
    assert router.after(1) == ()
    router.committing = Committing(written=101, committed=100, age_s=301)
    assert kinds(router.after(1)) == [(Kind.COMMIT_TOO_OLD, True)]
    router.committing = Committing(written=0, committed=40, age_s=301)
    assert router.after(1) == (), "it committed what the tasks before it had written"


def test_another_job_and_tasks_that_were_started_anew_begin_a_new_trail() -> None:
    router = Router()
    router.after(10, read=600, lag=1_000)
    restarted = replace(router.measured(), reading=replace(router.reading, events=10))
    fresh = follow(router.trail, JOB, restarted)
    assert fresh is not None
    assert (fresh.span_s, fresh.unread_since) == (0, None)
    other = follow(router.trail, "1" * 32, router.measured())
    assert other is not None
    assert other.span_s == 0


def test_directions_are_over_some_minutes_however_long_it_runs() -> None:
    router = Router()
    router.after(60, read=600, lag=0)
    router.after(10, read=6_000, lag=0)
    assert router.trail is not None
    assert WINDOW <= timedelta(seconds=router.trail.span_s) <= 2 * WINDOW
    assert router.trail.read_per_s == pytest.approx(100)
