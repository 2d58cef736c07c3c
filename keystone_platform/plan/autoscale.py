"""How many subtasks a router should have: a pure policy over what is observed of it.

With the rate of one subtask measured (`Load.rate_of_one`), two needs are weighed, in subtasks:

- traffic: events/s / (TARGET_BUSY * rate), of what arrives now and of what past weeks expect;
- backlog: (arrival + (lag + arrival * RESTART_S) / catch_up_s) / rate, which works the lag off in `catch_up_s`.

The topic's partitions then say which step has so much speed (`autoscale_steps`). Up is decided at once and goes the
whole way; down waits until less would have sufficed for a long time without a break. The measured rate is that
of DS2 (Kalavri et al., OSDI 2018); band, catch-up term, restart, waiting and effectiveness follow the Flink Kubernetes
Operator's autoscaler (`job.autoscaler.utilization.*`, `.catch-up.duration`, `.restart.time`, `.scale-down.interval`,
`.scaling.effectiveness.*`). The past weeks are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from keystone_platform.plan.autoscale_decision import Change, Decision, Reason, Watch
from keystone_platform.plan.autoscale_forecast import Forecast
from keystone_platform.plan.autoscale_load import Load
from keystone_platform.plan.autoscale_steps import speed, step_for
from keystone_platform.spec.models import AutoscaleSpec

TARGET_BUSY = 0.75
"""What a router is scaled to: room for bursts, and for a subtask that has more to do than the others."""

MOST_BUSY = 0.9
"""Above this it is scaled up. Between the target and this nothing changes: the hysteresis."""

RESTART_S = 30.0
"""Seconds that a rescale keeps the router from reading; what arrives meanwhile is backlog."""

SETTLE = timedelta(minutes=3)
"""After a change nothing is believed for so long: the code is cold, and the restart's backlog is worked off."""

DOWN_AFTER = timedelta(hours=1)
"""Half of the slots, or fewer, have to suffice for so long until they are all that is kept."""

LITTLE_AFTER = timedelta(hours=6)
"""The same where less than half would be given back: seldom worth a restart."""

MOST_CHANGES = 8
"""Changes of a day after which a router is not scaled down any more; up it always goes."""

LEAST_GAIN = 0.2
"""A scale-up that brought less than this share of the speed that it should have was not what the router lacked."""

RISE = 1.25
"""Where no past weeks tell what is coming, a scale-up is for so many times what arrives: what rises goes on rising."""

_SMOOTHING = 0.4
"""Weight of a new observation, at one a minute, against those before: noise of single minutes changes nothing."""


def decide_parallelism(
    bounds: AutoscaleSpec, load: Load, expected: Forecast | None, changes: Sequence[Change], watch: Watch
) -> tuple[Decision, Watch]:
    """Return what the router should have now, and what to remember for the next decision.

    Whether somebody acts on it is said by `bounds.mode`; a decision that nobody acts on is simply made again.

    Args:
        bounds: of the route's YAML.
        load: as observed now.
        expected: what past weeks say is coming; None where nothing is known of them.
        changes: of the last day at least, oldest first.
        watch: what the decision before returned; a new one at first.
    """
    last = changes[-1] if changes else None
    if last and load.at - last.at < SETTLE:
        why = f"it was changed from {last.before} to {last.after} at {last.at:%H:%M:%S}"
        return _stay(load, Reason.SETTLING, why), _not_calm(watch)
    watch = _measured(watch, load)
    rate = watch.rate_of_one or load.least_rate_of_one()
    if rate is None:
        why = f"{load.busy:.0%} busy and nothing read; {load.lag:,} events behind"
        return _stay(load, Reason.UNKNOWN, why), _not_calm(watch)
    need = _Need(bounds, load, expected, rate, watch.arrival_per_s or 0.0)
    within = min(max(load.parallelism, bounds.min), bounds.max)
    if within != load.parallelism:
        return need.decision(within, Reason.BOUNDS), _not_calm(watch)
    if need.reason:
        return _up(need, need.reason, last), _not_calm(watch)
    if need.calm_step < load.parallelism:
        return _down(need, changes, watch)
    return need.decision(load.parallelism, Reason.STEADY), _not_calm(watch)


@dataclass(frozen=True)
class _Need:
    """What a router of that load needs, if one subtask does `rate` events/s."""

    bounds: AutoscaleSpec
    load: Load
    expected: Forecast | None
    rate: float
    usual: float
    """Events/s that arrive, smoothed."""

    @property
    def has(self) -> float:
        """The speed that it has, in subtasks."""
        return speed(self.load.parallelism, self.load.partitions)

    @property
    def soon(self) -> float:
        """Events/s to be ready for."""
        return max(self.usual, self.expected.soon if self.expected else 0.0)

    @property
    def later(self) -> float:
        """Events/s for which a change should last."""
        return max(self.soon, self.expected.later if self.expected else 0.0)

    @property
    def traffic(self) -> float:
        """Subtasks that take the traffic at the target."""
        return self.later / (TARGET_BUSY * self.rate)

    @property
    def rising(self) -> float:
        """Subtasks that take the traffic at the target if it is rising."""
        now = self.load.arrival_per_s
        return max(self.later, now if self.expected else now * RISE) / (TARGET_BUSY * self.rate)

    @property
    def backlog(self) -> float:
        """Subtasks that catch up in time."""
        missed = self.load.lag + self.load.arrival_per_s * RESTART_S
        return (self.load.arrival_per_s + missed / self.bounds.catch_up_s) / self.rate

    @property
    def reason(self) -> Reason | None:
        """Why it needs more than it has; None when it does not."""
        if self.load.behind_s > self.bounds.max_lag_s and self.backlog > self.has:
            return Reason.BACKLOG
        return Reason.TRAFFIC if self.soon > MOST_BUSY * self.rate * self.has else None

    @property
    def up_step(self) -> int:
        """The step to go up to."""
        return self._step(max(self.rising, self.backlog))

    @property
    def calm_step(self) -> int:
        """The step for all that it needs and is expected to need."""
        return self._step(max(self.traffic, self.backlog))

    def _step(self, subtasks: float) -> int:
        return step_for(subtasks, self.load.partitions, self.bounds.min, self.bounds.max)

    def decision(self, target: int, reason: Reason, more: str = "") -> Decision:
        """Return the decision with the numbers that it follows from."""
        load, bounds, capacity = self.load, self.bounds, self.rate * self.has
        coming = f", {self.soon:,.0f} soon and {self.later:,.0f} later by past weeks" if self.expected else ""
        why = (
            f"{load.arrival_per_s:,.0f} events/s arrive{coming}; a subtask does {self.rate:,.0f}, "
            f"so {load.parallelism} on {load.partitions} partitions do {capacity:,.0f}, {self.soon / capacity:.0%} "
            f"busy ({TARGET_BUSY:.0%} wanted, {MOST_BUSY:.0%} at most): {self.traffic:.1f} subtasks, "
            f"{self.rising:.1f} if it rises; "
            f"{load.lag:,} events behind, {load.behind_s:,.0f} s ({bounds.max_lag_s} s at most), "
            f"to catch up in {bounds.catch_up_s} s: {self.backlog:.1f} subtasks; bounds {bounds.min} to {bounds.max}"
        )
        return Decision(load.parallelism, target, reason, f"{why}{more}", capacity)


def _up(need: _Need, reason: Reason, last: Change | None) -> Decision:
    load = need.load
    if need.up_step <= load.parallelism:
        return need.decision(load.parallelism, Reason.AT_MOST)
    if last and last.after > last.before and last.rate_before:
        hoped = last.rate_before * (speed(last.after, load.partitions) / speed(last.before, load.partitions) - 1)
        gained = need.rate * need.has - last.rate_before
        if gained < LEAST_GAIN * hoped:
            more = f"; {last.before} -> {last.after} brought {gained:,.0f} events/s of {hoped:,.0f}"
            return need.decision(load.parallelism, Reason.INEFFECTIVE, more)
    return need.decision(need.up_step, reason)


def _down(need: _Need, changes: Sequence[Change], watch: Watch) -> tuple[Decision, Watch]:
    load = need.load
    since = watch.less_since or load.at
    half_since = (watch.half_since or load.at) if need.calm_step * 2 <= load.parallelism else None
    begun = half_since or since
    # what was needed at first, while the traffic still fell, does not count
    less = max(need.calm_step, watch.less) if load.at - begun >= DOWN_AFTER / 2 else 0
    watch = watch.model_copy(update={"less_since": since, "half_since": half_since, "less": less})
    today = sum(load.at - each.at < timedelta(days=1) for each in changes)
    is_due = load.at - begun >= (DOWN_AFTER if half_since else LITTLE_AFTER)
    wanted = (DOWN_AFTER if half_since else LITTLE_AFTER).seconds // 60
    more = (
        f"; {less or need.calm_step} would do since {begun:%H:%M} ({wanted} min wanted), "
        f"{today} changes today ({MOST_CHANGES} at most)"
    )
    if not is_due or today >= MOST_CHANGES:
        return need.decision(load.parallelism, Reason.WAITING, more), watch
    return need.decision(less, Reason.CALM, more), watch


def _stay(load: Load, reason: Reason, why: str) -> Decision:
    return Decision(load.parallelism, load.parallelism, reason, why)


def _measured(watch: Watch, load: Load) -> Watch:
    """Take in an observation; the rate at another parallelism begins anew, so that what a change brought is seen."""
    arrival = _smoothed(watch.arrival_per_s, load.arrival_per_s)
    rate = load.rate_of_one()
    if rate is None:
        return watch.model_copy(update={"arrival_per_s": arrival})
    before = watch.rate_of_one if watch.parallelism == load.parallelism else None
    measured = {"rate_of_one": _smoothed(before, rate), "parallelism": load.parallelism}
    return watch.model_copy(update={"arrival_per_s": arrival, **measured})


def _smoothed(before: float | None, now: float) -> float:
    return now if before is None else _SMOOTHING * now + (1 - _SMOOTHING) * before


def _not_calm(watch: Watch) -> Watch:
    return watch.model_copy(update={"less_since": None, "half_since": None, "less": 0})
