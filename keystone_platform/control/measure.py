"""Measures routers: a share of the fleet at each tick, several at once, so that a tick ends in time."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.memory import Memory
from keystone_platform.control.sweep import RouteStatus
from keystone_platform.errors import KeystoneError
from keystone_platform.plan.lifecycle import Lifecycle
from keystone_platform.plan.progress import JobProgress, Measurement

MEASURED_PER_TICK = 150
"""Routers that are measured at one tick, some six requests each, of 1 ms of CPU; the others' turn comes at the next."""

AT_ONCE = 8
"""Routers that are measured at the same time: one that is slow to answer holds up none of the others."""

BUDGET = timedelta(seconds=8)
"""What is not measured by then is left for the next tick."""

KAFKA_PATIENCE = timedelta(seconds=2)
"""How long Kafka may take to say where topics end; without that, a lag is told as Flink says it."""

_NEVER = datetime.min.replace(tzinfo=UTC)


def measure(
    gateways: Gateways,
    statuses: Sequence[RouteStatus],
    memories: Mapping[str, Memory],
    most: int = MEASURED_PER_TICK,
    budget: timedelta = BUDGET,
) -> dict[str, Measurement]:
    """Return by route what was measured; a router whose job does not answer is left out.

    Who changed or is not well comes first, for half of the places at most; then who was measured longest ago.
    Blocks for `budget` at most, and KAFKA_PATIENCE where a source has read nothing since it was measured.
    """
    todo: SimpleQueue[RouteStatus] = SimpleQueue()
    for status in _due(statuses, memories, most):
        todo.put(status)
    found: dict[str, Measurement] = {}
    deadline = gateways.clock.now() + budget

    def work() -> None:
        while gateways.clock.now() < deadline:
            try:
                status = todo.get_nowait()
            except Empty:
                return
            measured = _measure(gateways, status, memories.get(status.route))
            if measured:
                found[status.route] = measured

    # daemons, and nobody waits beyond the budget: a request that hangs ends with its own time-out
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, todo.qsize()))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, (deadline - gateways.clock.now()).total_seconds()))
    return _with_ends(gateways, {each.route: each for each in statuses}, memories, dict(found))


def _due(statuses: Sequence[RouteStatus], memories: Mapping[str, Memory], most: int) -> list[RouteStatus]:
    alive = [each for each in statuses if each.job and each.state in (Lifecycle.RUNNING, Lifecycle.UNSETTLED)]
    waiting = sorted(alive, key=lambda status: _measured_at(memories.get(status.route)))
    urgent = [each for each in waiting if _is_urgent(each, memories.get(each.route))][: most // 2]
    first = {each.route for each in urgent}
    return [*urgent, *(each for each in waiting if each.route not in first)][:most]


def _is_urgent(status: RouteStatus, memory: Memory | None) -> bool:
    """Whether it changed since the last tick, does not run whole, or was not getting on."""
    if memory is None or status.last is None or status.state is Lifecycle.UNSETTLED:
        return True
    return (memory.state, memory.epoch) != (status.state, status.last.epoch) or memory.stalled


def _measured_at(memory: Memory | None) -> datetime:
    return memory.measured_at if memory and memory.measured_at else _NEVER


def _measure(gateways: Gateways, status: RouteStatus, memory: Memory | None) -> Measurement | None:
    if status.job is None:
        return None
    window = memory.restarts if memory else None
    before = window.latest if window and window.job_id == status.job.job_id else None
    try:
        progress = gateways.flink.progress(status.job.job_id)
        if not progress.restarts:
            return Measurement(progress)
        if before and before.count == progress.restarts:  # why is asked for only where there were more
            return Measurement(progress, before.failure)
        return Measurement(progress, gateways.flink.failure(status.job.job_id) or "")
    except KeystoneError:
        return None


def _with_ends(
    gateways: Gateways,
    statuses: Mapping[str, RouteStatus],
    memories: Mapping[str, Memory],
    found: dict[str, Measurement],
) -> dict[str, Measurement]:
    """Add where the topics end for sources that have read nothing: what those say of their lag may be old."""
    sources = {
        route: last.plan.source
        for route, each in found.items()
        if (last := statuses[route].last) and _reads_nothing(each.progress, memories.get(route))
    }
    ends = _ends(gateways, {topic for each in sources.values() for topic in each.topics}) if sources else {}
    return found | {
        route: replace(found[route], ends=sum(ends.get(topic, 0) for topic in each.topics))
        for route, each in sources.items()
        if all(topic in ends for topic in each.event_topics)  # of a cluster that is away nothing is known
    }


def _ends(gateways: Gateways, topics: Collection[str]) -> Mapping[str, int]:
    """Return where the topics end; nothing when Kafka does not say so in time: its own time-outs are longer."""
    answers: list[Mapping[str, int]] = []

    def ask() -> None:
        with suppress(KeystoneError):
            answers.append(gateways.kafka.ends(topics))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(KAFKA_PATIENCE.total_seconds())
    return answers[0] if answers else {}


def _reads_nothing(progress: JobProgress, memory: Memory | None) -> bool:
    before = memory.trail if memory else None
    return before is not None and progress.reading is not None and progress.reading.events == before.latest.events
