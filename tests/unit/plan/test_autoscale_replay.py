"""Traffic replayed against the autoscaling policy: no flapping, the lag bound kept, fewer slot-hours than a fixed size.

Each scene has an outage of ten minutes at its peak, since a fixed allocation needs room for that as well. `pytest -s`
prints what each scene cost.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import pytest

from keystone_platform.plan.autoscale_decision import Reason
from keystone_platform.spec.models import AutoscaleSpec
from tests.unit.plan.simulated_router import (
    MONDAY,
    Course,
    Outage,
    Scene,
    Traffic,
    cheapest_fixed,
    keeps_the_bound,
    replay,
)

BOUNDS = AutoscaleSpec(min=1, max=24, mode="act")
HOUR = timedelta(hours=1)
BREAK = timedelta(minutes=10)


def flat(now: datetime) -> float:
    return 1150.0


def wave(now: datetime) -> float:
    """A day with a trough of 500 events/s at 8:00 and a peak of 2,900 at 20:00."""
    return 1700 + 1200 * math.sin(((now - MONDAY) / HOUR - 14) / 24 * 2 * math.pi)


def week(now: datetime) -> float:
    """The same with quiet nights and, at the weekend, half as much again."""
    return wave(now) * (0.5 if now.hour < 6 else 1.0) * (1.5 if now.weekday() >= 5 else 1.0)


def evening_show(now: datetime) -> float:
    """Five times as much from one minute to the next, each evening from 20:00 to 22:00."""
    return 4000.0 if 20 <= now.hour < 22 else 800.0


def spike(now: datetime) -> float:
    """Four times as much for half an hour, once."""
    return 3200.0 if MONDAY + 10 * HOUR <= now < MONDAY + 10.5 * HOUR else 800.0


def noisy(traffic: Traffic, share: float) -> Traffic:
    """Return the traffic with another share more or less each ten seconds, always the same ones."""

    def arrives(now: datetime) -> float:
        chance = (int(now.timestamp()) * 2_654_435_761 % 2**32) / 2**32
        return traffic(now) * (1 + share * (2 * chance - 1))

    return arrives


def past_weeks(traffic: Traffic) -> dict[datetime, float]:
    """Return the hours of four weeks before the replay, one with more, one with less and one with a gap."""
    weeks = {1: 1.05, 2: 0.9, 3: 1.1, 4: 0.97}
    hours = {
        MONDAY - timedelta(weeks=number) + HOUR * hour: share * traffic(MONDAY + HOUR * hour + HOUR / 2)
        for number, share in weeks.items()
        for hour in range(7 * 24)
    }
    lost = MONDAY - timedelta(weeks=2)
    return hours | {lost + HOUR * hour: 0.0 for hour in range(12, 20)}


def compare(name: str, scene: Scene, start: int) -> tuple[Course, Course]:
    """Replay the scene with the policy and with the cheapest fixed allocation that keeps the bound; print both."""
    course = replay(scene, start)
    size, fixed = cheapest_fixed(scene)
    saved = 1 - course.slot_hours / fixed.slot_hours
    most = course.most_changes_in_a_day()
    print(
        f"\n{name}: {course.slot_hours:,.0f} slot-hours in {scene.days:g} days, "
        f"fixed at {size} {fixed.slot_hours:,.0f} ({saved:.0%} less); "
        f"{len(course.changes)} changes, at most {most} a day; "
        f"at most {course.worst_s:,.0f} s behind, late for {course.late_s:,.0f} s"
    )
    return course, fixed


def at_peak(day: int = 0) -> tuple[Outage, ...]:
    return (Outage(MONDAY + timedelta(days=day, hours=20), BREAK),)


SCENES = {
    "flat": (Scene(noisy(flat, 0.05), BOUNDS, days=2, outages=at_peak()), 2),
    "noisy": (Scene(noisy(flat, 0.5), BOUNDS, days=2, outages=at_peak()), 3),
    "daily wave": (Scene(noisy(wave, 0.1), BOUNDS, days=3, outages=at_peak(1)), 7),
    "week": (Scene(noisy(week, 0.1), BOUNDS, days=7, outages=at_peak(5), hourly=past_weeks(week)), 4),
    "show every evening": (Scene(evening_show, BOUNDS, days=2, outages=at_peak(1), hourly=past_weeks(evening_show)), 3),
    "spike": (Scene(noisy(spike, 0.1), BOUNDS, days=1, outages=at_peak()), 6),
}
"""Scene and the most changes of a day, two of them for the outage, by name."""


@pytest.mark.parametrize("name", SCENES)
def test_the_lag_bound_is_kept_with_few_changes_and_fewer_slot_hours_than_a_fixed_size_needs(name: str) -> None:
    scene, changes = SCENES[name]
    course, fixed = compare(name, scene, 4)
    assert keeps_the_bound(course, scene)
    assert course.most_changes_in_a_day() <= changes
    assert course.slot_hours < fixed.slot_hours


def test_flat_traffic_is_never_scaled_without_an_outage() -> None:
    assert replay(Scene(noisy(flat, 0.3), BOUNDS, days=2), 4).changes == []


def test_what_comes_every_evening_is_scaled_for_before_it_begins() -> None:
    show = Scene(evening_show, BOUNDS, days=1)
    surprised = replay(show, 3)
    (up, *_) = replay(Scene(evening_show, BOUNDS, days=1, hourly=past_weeks(evening_show)), 3).changes
    assert up.after == 24
    assert up.at < MONDAY + 20 * HOUR
    assert surprised.changes[0].at > MONDAY + 20 * HOUR
    assert surprised.worst_s > 30


def test_an_outage_that_the_bounds_cannot_catch_up_after_in_time_scales_to_the_bound_and_does_not_flap() -> None:
    bounds = AutoscaleSpec(min=1, max=6, mode="act")
    scene = Scene(flat, bounds, days=1, outages=(Outage(MONDAY + 8 * HOUR, timedelta(hours=2)),))
    course = replay(scene, 4)
    assert [(each.before, each.after) for each in course.changes] == [(4, 6), (6, 4)]
    assert course.late_s < timedelta(hours=5).total_seconds(), "2,400/s work off what 1,150/s left behind"


def test_a_router_that_its_sink_holds_up_is_not_given_slots_that_bring_nothing() -> None:
    course = replay(Scene(lambda now: 1500.0, BOUNDS, days=1, ceiling=1000.0), 3)
    assert len(course.changes) == 1
    assert course.last is not None
    assert course.last.reason is Reason.INEFFECTIVE
    assert "brought" in course.last.why


def test_slots_of_a_stream_that_fell_silent_are_given_back() -> None:
    course = replay(Scene(lambda now: 1500.0 if now < MONDAY + 2 * HOUR else 0.0, BOUNDS, days=0.5), 6)
    assert [each.after for each in course.changes] == [1]
