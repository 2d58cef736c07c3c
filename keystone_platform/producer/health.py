"""Whether a cluster is well enough to send to: a pure judgement of what was seen of it, one look after another.

States: UNKNOWN until something was seen; HEALTHY; SUSPECT when events wait or a probe failed; SICK when that lasts;
RECOVERING while a sick one answers again, for as long as a hold, which doubles with each relapse. All times are seconds
of a clock that never jumps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

SILENT_PROBES = 2
"""So many unanswered probes, one after another, make a cluster sick that no event waits for."""


class Health(StrEnum):
    """How a cluster is."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    SUSPECT = "suspect"
    SICK = "sick"
    RECOVERING = "recovering"


@dataclass(frozen=True)
class FailoverLimits:
    """When a cluster counts as sick, and as healthy again; seconds. docs/failover.md explains the defaults.

    Attributes:
        look_s: between two looks at each cluster.
        probe_s: between two metadata requests, to a cluster that seems well; to another one with each look.
        probe_timeout_s: how long one may take.
        suspect_s: so long nothing was acknowledged although events wait.
        sick_s: the same, while probes fail.
        stuck_s: the same, whatever probes say.
        late_s: the oldest event waits for so long, although others are acknowledged.
        hold_s: a cluster that was sick has to be well for so long before streams go back to it.
        jitter_s: and for up to so much longer, each producer for another time, so that they don't return at once.
        trial_s: the same, where the cluster in use is sick itself.
        longest_hold_s: where the doubling of `hold_s` and `trial_s` ends.
        relapse_s: a cluster that was well for so long is believed like one that never was sick.
    """

    look_s: float = 0.5
    probe_s: float = 2.0
    probe_timeout_s: float = 1.5
    suspect_s: float = 1.5
    sick_s: float = 3.0
    stuck_s: float = 7.0
    late_s: float = 30.0
    hold_s: float = 30.0
    jitter_s: float = 30.0
    trial_s: float = 5.0
    longest_hold_s: float = 900.0
    relapse_s: float = 600.0


@dataclass(frozen=True)
class Signs:
    """What was seen of a cluster in one look.

    Attributes:
        at: when.
        stalled_s: for how long nothing was acknowledged although events wait; 0: nothing waits, or it goes on.
        oldest_s: for how long the oldest event waits, at least.
        acknowledged_ago_s: since something was acknowledged; infinite if nothing ever was.
        is_failing: events were given up lately because the cluster was not there, and none was acknowledged since.
        probes_failed: how many probes failed one after another, up to the newest one.
        has_answered: the newest probe was answered, and every partition of its topic has a leader.
    """

    at: float
    stalled_s: float = 0.0
    oldest_s: float = 0.0
    acknowledged_ago_s: float = math.inf
    is_failing: bool = False
    probes_failed: int = 0
    has_answered: bool = False


@dataclass(frozen=True)
class Condition:
    """A cluster as it was judged at the last look.

    Attributes:
        since: when it came into that state.
        well_since: when it was last found well after it was sick or unknown.
        relapses: how often it fell sick since it was last well for long.
        why: the sign that made it so, for people.
    """

    health: Health = Health.UNKNOWN
    since: float = 0.0
    well_since: float = 0.0
    relapses: int = 0
    why: str = ""

    def wait_s(self, base_s: float, limits: FailoverLimits) -> float:
        """Return how long it has to be well again, doubled for each relapse."""
        return min(base_s * 2.0 ** max(0, self.relapses - 1), limits.longest_hold_s)

    def is_on_trial(self, now: float, limits: FailoverLimits) -> bool:
        """Whether it has answered again for long enough to be better than a cluster that is sick."""
        return self.health is Health.RECOVERING and now - self.since >= self.wait_s(limits.trial_s, limits)


def judge(before: Condition, signs: Signs, limits: FailoverLimits, draw: float) -> Condition:
    """Return how the cluster is now; `draw` is this producer's share of `jitter_s`, from 0 to 1."""
    sickness, doubt = _sickness(signs, limits), _doubt(signs, limits)
    answers = not doubt and (_is_acknowledging(signs, limits) or signs.has_answered)
    match before.health:
        case Health.SICK:
            return _moved(before, Health.RECOVERING, signs, "it answers") if answers else before
        case Health.RECOVERING if sickness or doubt:
            trusted = before.relapses + 1 if signs.stalled_s else before.relapses  # a relapse only if it was in use
            return replace(_moved(before, Health.SICK, signs, sickness or doubt), relapses=trusted)
        case Health.RECOVERING:
            hold = before.wait_s(limits.hold_s, limits) + draw * limits.jitter_s
            return _well(before, signs) if signs.at - before.since >= hold else before
    if sickness:
        is_relapse = before.health is not Health.UNKNOWN and signs.at - before.well_since < limits.relapse_s
        relapses = before.relapses + 1 if is_relapse else 1
        return replace(_moved(before, Health.SICK, signs, sickness), relapses=relapses)
    match before.health, doubt:
        case Health.UNKNOWN, "":
            return _well(before, signs) if answers else before
        case Health.HEALTHY | Health.UNKNOWN, str() if doubt:
            return _moved(before, Health.SUSPECT, signs, doubt)
        case Health.SUSPECT, "" if answers:
            return _moved(before, Health.HEALTHY, signs, "it answers")
    return before


def _sickness(signs: Signs, limits: FailoverLimits) -> str:
    """Return which sign says that the cluster can't be used; empty: none."""
    if _is_acknowledging(signs, limits):
        late = signs.oldest_s >= limits.late_s
        return f"an event has waited for {signs.oldest_s:.0f} s" if late else ""
    if signs.stalled_s >= limits.stuck_s:
        return f"nothing acknowledged for {signs.stalled_s:.1f} s"
    if signs.stalled_s >= limits.sick_s and signs.probes_failed:
        return f"nothing acknowledged for {signs.stalled_s:.1f} s, and it does not answer"
    if signs.is_failing and signs.probes_failed:
        return "events were given up, and it does not answer"
    return f"it did not answer {signs.probes_failed} times" if signs.probes_failed >= SILENT_PROBES else ""


def _doubt(signs: Signs, limits: FailoverLimits) -> str:
    if _is_acknowledging(signs, limits):
        return ""
    if signs.stalled_s >= limits.suspect_s:
        return f"nothing acknowledged for {signs.stalled_s:.1f} s"
    if signs.is_failing:
        return "events were given up"
    return "it did not answer" if signs.probes_failed else ""


def _is_acknowledging(signs: Signs, limits: FailoverLimits) -> bool:
    return signs.acknowledged_ago_s < limits.suspect_s


def _well(before: Condition, signs: Signs) -> Condition:
    return replace(_moved(before, Health.HEALTHY, signs, "it answers"), well_since=signs.at)


def _moved(before: Condition, health: Health, signs: Signs, why: str) -> Condition:
    return replace(before, health=health, since=signs.at, why=why)
