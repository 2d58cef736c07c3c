"""Asks the cluster how many events of each router died: a few routers at each tick, so that a tick ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.health import Memory
from keystone_platform.control.sweep import RouteStatus
from keystone_platform.errors import KeystoneError
from keystone_platform.plan.dead_letter_share import Counts
from keystone_platform.plan.lifecycle import Lifecycle

COUNTED_PER_TICK = 50
"""Routers that are asked at one tick, three requests each; the others' turn comes at the next ones."""

BUDGET = timedelta(seconds=10)
"""No other router is asked after that."""

_NEVER = datetime.min.replace(tzinfo=UTC)


def count_dead_letters(
    gateways: Gateways, statuses: Sequence[RouteStatus], memories: Mapping[str, Memory]
) -> dict[str, Counts]:
    """Return by route what the jobs of some running routers have counted, those that were asked longest ago first.

    A router whose job does not tell is left out; a cluster that does not answer ends the tick's asking.
    """
    began = gateways.clock.now()
    counted: dict[str, Counts] = {}
    for status in sorted(filter(_can_die, statuses), key=lambda status: _asked(memories.get(status.route)))[
        :COUNTED_PER_TICK
    ]:
        if gateways.clock.now() - began > BUDGET:
            break
        try:
            found = gateways.flink.event_counts(status.job.job_id) if status.job else None
        except KeystoneError:
            break
        if found:
            counted[status.route] = Counts(at=gateways.clock.now(), events=found.events, dead=found.dead)
    return counted


def _can_die(status: RouteStatus) -> bool:
    return bool(status.state is Lifecycle.RUNNING and status.last and not status.last.plan.source.raw)


def _asked(memory: Memory | None) -> datetime:
    return memory.window.latest.at if memory and memory.window else _NEVER
