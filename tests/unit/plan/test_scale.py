"""With how many subtasks a route runs, what the history says of its changes, and what load two samples make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keystone_platform.plan.autoscale_decision import Change
from keystone_platform.plan.autoscale_load import load_between
from keystone_platform.plan.deployment import Cause, Deployment, Outcome
from keystone_platform.plan.progress import Reading
from keystone_platform.plan.scale import at_its_scale, changes_of, scaled
from keystone_platform.plan.trail import Sample
from keystone_platform.spec.models import AutoscaleSpec
from tests.control.fakes import a_plan

NOW = datetime(2026, 11, 4, 12, tzinfo=UTC)
PLAN = a_plan()


def deployment(epoch: int, parallelism: int, hours_ago: float, outcome: Outcome = Outcome.SUBMITTED) -> Deployment:
    at = NOW - timedelta(hours=hours_ago)
    plan = scaled(PLAN, parallelism)
    return Deployment(PLAN.route, epoch, f"j{epoch}", plan, Cause.RESCALE, None, at, outcome=outcome, outcome_at=at)


@pytest.mark.parametrize(
    ("bounds", "had", "runs_with"),
    [
        pytest.param(None, 5, 1, id="without bounds as declared"),
        pytest.param(AutoscaleSpec(max=8, mode="observe"), 5, 1, id="who only observes has it as declared"),
        pytest.param(AutoscaleSpec(max=8, mode="act"), 5, 5, id="as the autoscaler chose"),
        pytest.param(AutoscaleSpec(max=4, mode="act"), 5, 4, id="no more than the bound"),
        pytest.param(AutoscaleSpec(min=6, max=8, mode="act"), 5, 6, id="no less than the bound"),
    ],
)
def test_a_route_keeps_its_size_within_its_bounds(bounds: AutoscaleSpec | None, had: int, runs_with: int) -> None:
    assert at_its_scale(PLAN, bounds, deployment(1, had, 1)).parallelism == runs_with


def test_what_was_never_deployed_begins_as_declared() -> None:
    assert at_its_scale(scaled(PLAN, 3), AutoscaleSpec(max=8, mode="act"), None).parallelism == 3


def test_changes_are_those_of_the_last_day_that_were_made_with_the_rates_that_are_known() -> None:
    history = (
        deployment(6, 4, 0.5),
        deployment(5, 8, 1.0, Outcome.REFUSED),
        deployment(4, 2, 2),
        deployment(3, 2, 3),
        deployment(2, 3, 30),
        deployment(1, 1, 40),
    )
    known = (Change(NOW - timedelta(hours=3), 3, 2, 70.0),)
    assert changes_of(history, NOW, known, rate_before=90.0) == (
        Change(NOW - timedelta(hours=3), 3, 2, 70.0),
        Change(NOW - timedelta(minutes=30), 2, 4, 90.0),
    )


def sample(seconds: float, events: int, lag: int) -> Sample:
    return Sample(at=NOW + timedelta(seconds=seconds), events=events, lag=lag)


READING = Reading(parallelism=2, events=7000, per_s=1.0, lag=400, busy=0.8, backpressured=0.0)


def test_what_arrives_is_what_is_read_and_what_is_left_more_than_before() -> None:
    load = load_between(sample(0, 1000, 100), sample(60, 7000, 400), READING, partitions=4)
    assert load is not None
    assert (load.processed_per_s, load.arrival_per_s, load.lag, load.busy) == (100.0, 105.0, 400, 0.8)
    assert (load.parallelism, load.partitions, load.at) == (2, 4, NOW + timedelta(seconds=60))


def test_a_backlog_that_is_worked_off_is_no_arrival() -> None:
    load = load_between(sample(0, 0, 9000), sample(60, 6000, 0), READING, partitions=4)
    assert load is not None
    assert load.arrival_per_s == 0.0


@pytest.mark.parametrize(
    ("before", "after"), [(sample(0, 100, 0), sample(60, 50, 0)), (sample(0, 0, 0), sample(1, 9, 0))]
)
def test_tasks_that_were_started_anew_and_a_moment_tell_nothing(before: Sample, after: Sample) -> None:
    assert load_between(before, after, READING, partitions=4) is None
