"""The autoscaling policy, decision by decision: what it does with one observation, and that its numbers are right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keystone_platform.plan.autoscale import DOWN_AFTER, LITTLE_AFTER, MOST_CHANGES, SETTLE, decide_parallelism
from keystone_platform.plan.autoscale_decision import Change, Decision, Reason, Watch
from keystone_platform.plan.autoscale_forecast import Forecast, forecast
from keystone_platform.plan.autoscale_load import Load
from keystone_platform.plan.autoscale_steps import speed, step_for, steps
from keystone_platform.spec.models import AutoscaleSpec

NOW = datetime(2026, 11, 4, 12, tzinfo=UTC)
BOUNDS = AutoscaleSpec(min=1, max=12)
HOUR = timedelta(hours=1)


def load(
    arrival: float, *, parallelism: int = 4, lag: int = 0, rate: float = 100.0, at: datetime = NOW, partitions: int = 12
) -> Load:
    """Return what a router shows whose subtasks do `rate` events/s each, while `arrival` events/s arrive."""
    able = rate * speed(parallelism, partitions)
    busy = 1.0 if lag else min(1.0, arrival / able)
    return Load(at, parallelism, partitions, lag, arrival, busy * able, busy)


def decide(
    seen: Load,
    *,
    bounds: AutoscaleSpec = BOUNDS,
    expected: Forecast | None = None,
    changes: tuple[Change, ...] = (),
    watch: Watch | None = None,
) -> Decision:
    return decide_parallelism(bounds, seen, expected, changes, watch or Watch())[0]


def changed(ago: timedelta, before: int = 2, after: int = 4, rate_before: float | None = None) -> Change:
    return Change(NOW - ago, before, after, rate_before)


CASES = {
    "within the band nothing happens": (load(340), {}, 4, Reason.STEADY),
    "busier than the band goes up to the target and some more": (load(185, parallelism=2), {}, 4, Reason.TRAFFIC),
    "what is expected soon counts as if it were here": (load(300), {"expected": Forecast(440, 440)}, 6, Reason.TRAFFIC),
    "a backlog that is worked off in time needs nothing": (load(250, lag=50_000), {}, 4, Reason.STEADY),
    "a backlog that is not goes up": (load(250, lag=300_000), {}, 6, Reason.BACKLOG),
    "a backlog no bound can work off goes to the bound": (load(250, lag=10_000_000), {}, 12, Reason.BACKLOG),
    "at the bound it says so": (load(390), {"bounds": AutoscaleSpec(max=4)}, 4, Reason.AT_MOST),
    "just changed it waits": (load(390), {"changes": (changed(SETTLE / 2),)}, 4, Reason.SETTLING),
    "a scale-up that brought nothing is not repeated": (
        load(390, rate=50.0, lag=100_000),
        {"changes": (changed(HOUR, rate_before=200.0),)},
        4,
        Reason.INEFFECTIVE,
    ),
    "one that brought what it should have may be": (
        load(350, lag=100_000),
        {"changes": (changed(HOUR, rate_before=200.0),)},
        6,
        Reason.BACKLOG,
    ),
    "less would do, but not for long enough": (load(100), {}, 4, Reason.WAITING),
    "busy and reading nothing is no reason to do anything": (
        Load(NOW, 4, 12, 5_000, 100.0, 0.0, 1.0),
        {},
        4,
        Reason.UNKNOWN,
    ),
    "outside of bounds that were changed it goes to them": (
        load(340),
        {"bounds": AutoscaleSpec(min=6, max=12)},
        6,
        Reason.BOUNDS,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_decisions(name: str) -> None:
    seen, given, target, reason = CASES[name]
    decision = decide(seen, **given)  # type: ignore[arg-type]
    assert (decision.target, decision.reason) == (target, reason), str(decision)


def calm(seen: Load, since: timedelta, less: int) -> Watch:
    return Watch(
        rate_of_one=100.0,
        parallelism=4,
        arrival_per_s=seen.arrival_per_s,
        less_since=NOW - since,
        half_since=NOW - since,
        less=less,
    )


def test_it_goes_down_to_the_most_that_was_needed_in_the_half_hour_before() -> None:
    seen = load(70)
    assert decide(seen, watch=calm(seen, DOWN_AFTER, less=2)).target == 2
    assert decide(seen, watch=calm(seen, DOWN_AFTER, less=0)).target == 1


def test_it_does_not_go_down_before_what_past_weeks_expect() -> None:
    seen = load(70)
    assert not decide(seen, expected=Forecast(70, 350), watch=calm(seen, DOWN_AFTER, less=1)).is_change


def test_it_does_not_go_down_after_too_many_changes_of_a_day_but_still_up() -> None:
    often = tuple(changed(HOUR * (MOST_CHANGES + 1 - number)) for number in range(MOST_CHANGES))
    seen = load(70)
    assert decide(seen, changes=often, watch=calm(seen, DOWN_AFTER, less=1)).reason is Reason.WAITING
    assert decide(load(390, lag=100_000), changes=often).is_change


def test_a_few_slots_are_given_back_only_after_long() -> None:
    seen = load(220)
    long = Watch(rate_of_one=100.0, parallelism=4, arrival_per_s=220.0, less_since=NOW - DOWN_AFTER * 2, less=3)
    assert decide(seen, watch=long).reason is Reason.WAITING
    assert decide(seen, watch=long.model_copy(update={"less_since": NOW - LITTLE_AFTER})).target == 3


def test_a_peak_while_it_waits_begins_the_wait_anew() -> None:
    seen = load(350)
    _, watch = decide_parallelism(BOUNDS, seen, None, (), calm(seen, DOWN_AFTER, less=2))
    assert watch.less_since is None


def test_the_explanation_holds_the_numbers_of_the_sum() -> None:
    told = str(decide(load(185, parallelism=2)))
    assert told.startswith("2 -> 4 (traffic): 185 events/s arrive; a subtask does 100, so 2 on 12 partitions do 200")
    assert "92% busy (75% wanted, 90% at most): 2.5 subtasks, 3.1 if it rises" in told


@pytest.mark.parametrize(
    ("partitions", "most", "found"),
    [(12, 12, (1, 2, 3, 4, 6, 12)), (12, 5, (1, 2, 3, 4)), (7, 7, (1, 2, 3, 4, 7)), (1, 1, (1,))],
)
def test_steps_are_those_that_make_a_router_faster(partitions: int, most: int, found: tuple[int, ...]) -> None:
    assert steps(partitions, 1, most) == found


@pytest.mark.parametrize(
    ("partitions", "needed", "step"),
    [(12, 3.5, 4), (12, 4.1, 6), (12, 6.1, 12), (12, 99, 12), (10, 2.5, 3), (10, 3.1, 5), (7, 2.1, 3)],
)
def test_a_divisor_is_taken_unless_it_is_much_more_than_what_suffices(
    partitions: int, needed: float, step: int
) -> None:
    assert step_for(needed, partitions, 1, partitions) == step


def test_the_rate_of_one_is_the_rate_by_the_time_that_was_used_for_it() -> None:
    assert Load(NOW, 4, 12, 0, 200, 200, 0.5).rate_of_one() == 100
    assert Load(NOW, 5, 12, 0, 200, 200, 0.5).rate_of_one() == 100, "five subtasks of twelve partitions go as four"
    assert Load(NOW, 4, 12, 0, 1, 1, 0.01).rate_of_one() is None


def hours(rates: dict[timedelta, float]) -> dict[datetime, float]:
    return {NOW - back: rate for back, rate in rates.items()}


WEEK = timedelta(weeks=1)


def test_the_forecast_is_the_median_of_past_weeks_and_grows_with_this_one() -> None:
    past = {WEEK * week - HOUR * hour: 100.0 for week in (1, 2, 3) for hour in range(-3, 4)}
    past |= {WEEK - HOUR: 100.0, WEEK * 2 - HOUR: 0.0, WEEK * 3 - HOUR * 3: 900.0, WEEK - HOUR * 3: 400.0}
    past |= {WEEK * 2 - HOUR * 3: 400.0}
    today = {HOUR * hour: 120.0 for hour in (1, 2, 3)}
    assert forecast(hours(past | today), NOW) == Forecast(soon=pytest.approx(120), later=pytest.approx(480))


def test_without_a_past_nothing_is_forecast() -> None:
    assert forecast(hours({HOUR: 100.0}), NOW) is None
