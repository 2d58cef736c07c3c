"""A router that is simulated in steps of ten seconds, to replay traffic against the autoscaling policy."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from keystone_platform.plan.autoscale import decide_parallelism
from keystone_platform.plan.autoscale_decision import Change, Decision, Watch
from keystone_platform.plan.autoscale_forecast import forecast
from keystone_platform.plan.autoscale_load import Load
from keystone_platform.plan.autoscale_steps import speed, steps
from keystone_platform.spec.models import AutoscaleSpec

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
STEP = timedelta(seconds=10)
LOOK = timedelta(seconds=60)
"""Time between two decisions, and what an observation is the mean of."""

RESTART = timedelta(seconds=30)
COLD_FOR = timedelta(seconds=60)
COLD = 0.7
"""Share of its speed that a router has for COLD_FOR after a start."""

Traffic = Callable[[datetime], float]
"""Events/s that arrive at a time."""


@dataclass(frozen=True)
class Outage:
    """The router is down, whatever its parallelism."""

    at: datetime
    lasts: timedelta


@dataclass(frozen=True)
class Scene:
    """What is replayed.

    Attributes:
        rate_of_one: events/s of one subtask.
        ceiling: events/s that the sink takes at most.
        hourly: arrival of past weeks by hour, events/s.
    """

    traffic: Traffic
    bounds: AutoscaleSpec
    days: float
    partitions: int = 24
    rate_of_one: float = 400.0
    outages: tuple[Outage, ...] = ()
    ceiling: float = float("inf")
    hourly: Mapping[datetime, float] = field(default_factory=dict)


@dataclass
class Course:
    """How a replay went.

    Attributes:
        slot_hours: slots that were held, by hours.
        worst_s: greatest age of the oldest unread event, outages and the time to catch up after them left out.
        late_s: longest time without a break in which that age was more than `max_lag_s`, outages included.
        last: the newest decision; None with a fixed allocation.
    """

    changes: list[Change] = field(default_factory=list)
    slot_hours: float = 0.0
    worst_s: float = 0.0
    late_s: float = 0.0
    last: Decision | None = None

    def most_changes_in_a_day(self) -> int:
        day = timedelta(days=1)
        return max((sum(a.at <= b.at < a.at + day for b in self.changes) for a in self.changes), default=0)


class _Replay:
    """The router's state while a scene is replayed."""

    def __init__(self, scene: Scene, parallelism: int) -> None:
        self.scene, self.parallelism, self.course = scene, parallelism, Course()
        self.lag = self.late_s = 0.0
        self.unread: deque[tuple[datetime, float]] = deque()
        self.back_at = MONDAY - COLD_FOR
        self.arrived = self.processed = self.able = 0.0
        self.hourly, self.hour_arrived = dict(scene.hourly), 0.0
        self.watch, self.noise = Watch(), random.Random(7)

    def step(self, now: datetime) -> None:
        """Let ten seconds of events arrive and be read."""
        for outage in self.scene.outages:
            if outage.at <= now < outage.at + outage.lasts:
                self.back_at = outage.at + outage.lasts
        seconds = STEP.total_seconds()
        came = self.scene.traffic(now) * seconds
        self.unread.append((now, came))
        can = self._rate(now) * seconds
        did = min(self.lag + came, can)
        self.lag += came - did
        self.arrived, self.processed, self.able = self.arrived + came, self.processed + did, self.able + can
        self._account(now, did, seconds)
        self.hour_arrived += came
        if now.minute == now.second == 0:
            self.hourly[now - timedelta(hours=1)] = self.hour_arrived / 3600
            self.hour_arrived = 0.0

    def decide(self, now: datetime) -> None:
        """Observe the last minute and do what the policy says; a router that is down shows no numbers."""
        if now >= self.back_at:
            seconds = LOOK.total_seconds()
            busy = min(1.0, self.processed / self.able * self.noise.uniform(0.95, 1.05)) if self.able else 0.0
            load = Load(
                at=now,
                parallelism=self.parallelism,
                partitions=self.scene.partitions,
                lag=int(self.lag),
                arrival_per_s=self.arrived / seconds,
                processed_per_s=self.processed / seconds,
                busy=busy,
            )
            expected = forecast(self.hourly, now)
            decision, self.watch = decide_parallelism(
                self.scene.bounds, load, expected, self.course.changes, self.watch
            )
            self.course.last = decision
            if decision.is_change:
                self.back_at = now + RESTART
                change = Change(self.back_at, decision.current, decision.target, decision.capacity_per_s)
                self.course.changes.append(change)
                self.parallelism = decision.target
        self.arrived = self.processed = self.able = 0.0

    def _rate(self, now: datetime) -> float:
        if now < self.back_at:
            return 0.0
        warm = COLD if now < self.back_at + COLD_FOR else 1.0
        return min(self.scene.rate_of_one * speed(self.parallelism, self.scene.partitions) * warm, self.scene.ceiling)

    def _account(self, now: datetime, did: float, seconds: float) -> None:
        while self.unread and did >= self.unread[0][1] - 1e-6:
            did -= self.unread.popleft()[1]
        if self.unread:
            self.unread[0] = (self.unread[0][0], self.unread[0][1] - did)
        age_s = (now - self.unread[0][0]).total_seconds() if self.unread else 0.0
        bounds = self.scene.bounds
        self.late_s = self.late_s + seconds if age_s > bounds.max_lag_s else 0.0
        self.course.late_s = max(self.course.late_s, self.late_s)
        if not any(each.at <= now < each.at + each.lasts + recovery(bounds) for each in self.scene.outages):
            self.course.worst_s = max(self.course.worst_s, age_s)
        self.course.slot_hours += self.parallelism * seconds / 3600


def recovery(bounds: AutoscaleSpec) -> timedelta:
    """Return how long after an outage a router may be late: to notice, to rescale, to catch up."""
    return LOOK + RESTART + COLD_FOR + timedelta(seconds=bounds.catch_up_s)


def replay(scene: Scene, parallelism: int, *, fixed: bool = False) -> Course:
    """Replay the scene from Monday on; with a fixed parallelism it ends where the lag bound is broken."""
    state = _Replay(scene, parallelism)
    now = MONDAY
    while now < MONDAY + timedelta(days=scene.days):
        now += STEP
        state.step(now)
        if not fixed and now.second == 0:
            state.decide(now)
        if fixed and not keeps_the_bound(state.course, scene):
            break
    return state.course


def keeps_the_bound(course: Course, scene: Scene) -> bool:
    """Whether the router was never late but after an outage, and then caught up in time."""
    longest = max((each.lasts for each in scene.outages), default=timedelta())
    return (
        course.worst_s <= scene.bounds.max_lag_s and course.late_s <= (longest + recovery(scene.bounds)).total_seconds()
    )


def cheapest_fixed(scene: Scene) -> tuple[int, Course]:
    """Return the fixed allocation of fewest slots that keeps the bound."""
    for parallelism in steps(scene.partitions, 1, scene.partitions):
        found = replay(scene, parallelism, fixed=True)
        if keeps_the_bound(found, scene):
            return parallelism, found
    raise AssertionError("no fixed allocation keeps the bound")
