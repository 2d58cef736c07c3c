"""What the autoscaler says of each measured route at a tick, and what it asks for: a decision a minute and route."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from keystone_platform.control.arrivals import arrivals
from keystone_platform.control.gateways import Gateways
from keystone_platform.control.goal import Goal
from keystone_platform.control.health import Assessment
from keystone_platform.control.memory import HEARTBEAT, Memory, Scaling, Told
from keystone_platform.errors import KeystoneError
from keystone_platform.plan.autoscale import decide_parallelism
from keystone_platform.plan.autoscale_decision import Decision
from keystone_platform.plan.autoscale_forecast import forecast, hours_of
from keystone_platform.plan.autoscale_load import Load, load_between
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.plan.progress import Measurement, Reading
from keystone_platform.plan.scale import changes_of
from keystone_platform.plan.trail import Sample

LOOK = timedelta(seconds=55)
"""Time between two decisions on a route, at the least: what the policy's smoothing is made for is a minute."""

ASK_AGAIN = timedelta(minutes=5)
"""A rescale that did not happen is asked for again after so long."""

FORECASTS_PER_TICK = 5
"""Topics whose past hours are asked of Kafka at one tick; each is asked for once an hour."""


@dataclass(frozen=True)
class Scaled:
    """What a tick comes to for one route.

    Attributes:
        memory: to be remembered.
        decision: made at this tick; None where the route was looked at a moment ago, or for the first time.
        is_news: it is to be written down.
        is_asked: a rescale is to be asked for now.
    """

    memory: Scaling
    decision: Decision | None = None
    is_news: bool = False
    is_asked: bool = False


def autoscale(
    gateways: Gateways,
    goals: Mapping[str, Goal],
    assessments: Sequence[Assessment],
    found: Mapping[str, Measurement],
    memories: Mapping[str, Memory],
    busy: Collection[str],
    now: datetime,
) -> dict[str, Scaled]:
    """Decide on each route that has bounds, runs well and was measured at this tick.

    Blocks for a query of the ledger for each route that was deployed anew, and for FORECASTS_PER_TICK topics at most.

    Args:
        gateways: ledger and Kafka are asked.
        goals: by route.
        assessments: of this tick.
        found: measured at this tick, by route.
        memories: of the tick before, by route.
        busy: routes that a queued or running run acts on.
        now: the time, UTC.

    Raises:
        Transient: the ledger does not answer.
    """
    done: dict[str, Scaled] = {}
    forecasts_left = FORECASTS_PER_TICK
    for each in _scalable(goals, assessments, found):
        memory = memories.get(each.route)
        before = memory.scaling if memory else None
        scaling = _with_changes(gateways, each, before, now)
        if before is None or before.job_id != each.job_id:
            done[each.route] = Scaled(scaling)
            continue
        load = load_between(before.sample, each.sample, each.reading, each.goal.partitions)
        if load is None or load.at - before.sample.at < LOOK:
            restarted = each.sample.events < before.sample.events
            done[each.route] = Scaled(scaling.model_copy(update={"sample": each.sample}) if restarted else scaling)
            continue
        if scaling.expected_for != _hour(now) and forecasts_left:
            forecasts_left -= 1
            scaling = _with_forecast(gateways, each.goal, scaling, now)
        done[each.route] = _decide(each, scaling, load, each.route in busy, now)
    return done


@dataclass(frozen=True)
class _Candidate:
    """A route that can be decided on."""

    goal: Goal
    last: Deployment
    job_id: str
    sample: Sample
    reading: Reading

    @property
    def route(self) -> str:
        return self.goal.route


def _scalable(
    goals: Mapping[str, Goal], assessments: Sequence[Assessment], found: Mapping[str, Measurement]
) -> Iterator[_Candidate]:
    for item in assessments:
        status, goal, measured = item.status, goals.get(item.status.route), found.get(item.status.route)
        if goal is None or goal.autoscale is None or goal.suspended or measured is None:
            continue
        acts = item.attempt or item.pause or item.rollback or status.strays
        if status.state is not Lifecycle.RUNNING or acts or status.last is None or item.memory.trail is None:
            continue
        if measured.progress.reading:
            trail = item.memory.trail
            yield _Candidate(goal, status.last, trail.job_id, trail.latest, measured.progress.reading)


def _with_changes(gateways: Gateways, each: _Candidate, before: Scaling | None, now: datetime) -> Scaling:
    """Return the memory with the route's changes; they are read anew only when there was a new deployment."""
    if before and before.epoch == each.last.epoch and before.job_id == each.job_id:
        return before
    known, rate = (before.changes, before.capacity_per_s) if before else ((), None)
    changes = changes_of(gateways.ledger.history(each.route), now, known, rate)
    fresh = {"epoch": each.last.epoch, "job_id": each.job_id, "sample": each.sample, "changes": changes}
    return before.model_copy(update=fresh) if before else Scaling.model_validate(fresh)


def _with_forecast(gateways: Gateways, goal: Goal, scaling: Scaling, now: datetime) -> Scaling:
    """Return the memory with what past weeks expect; where Kafka does not answer it is asked again in an hour."""
    try:
        hourly = arrivals(gateways.kafka, goal.plan.source.event_topics, hours_of(now))
    except KeystoneError:
        return scaling.model_copy(update={"expected_for": _hour(now)})
    return scaling.model_copy(update={"expected": forecast(hourly, now), "expected_for": _hour(now)})


def _decide(each: _Candidate, scaling: Scaling, load: Load, busy: bool, now: datetime) -> Scaled:
    bounds = each.goal.autoscale
    assert bounds is not None  # it would be no candidate
    decision, watch = decide_parallelism(bounds, load, scaling.expected, scaling.changes, scaling.watch)
    mark = f"{each.last.epoch}/{decision.target}/{decision.reason}"
    is_news = scaling.told is None or scaling.told.is_due(mark, now, HEARTBEAT)
    is_new = scaling.asked_at is None or scaling.asked_for != decision.target or now - scaling.asked_at >= ASK_AGAIN
    is_asked = decision.is_change and bounds.mode == "act" and is_new and not busy
    fresh: dict[str, object] = {"sample": each.sample, "watch": watch, "capacity_per_s": decision.capacity_per_s}
    if is_news:
        fresh["told"] = Told(mark=mark, at=now)
    if is_asked:
        fresh |= {"asked_at": now, "asked_for": decision.target}
    return Scaled(scaling.model_copy(update=fresh), decision, is_news, is_asked)


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)
