"""How much one tick of the health sensor writes down: what the tick costs must not grow with what there is to tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from keystone_platform.control.health import Assessment, Memory

MOST_REPORTS = 150
"""Reports of one tick. Dagster needs about 20 ms for each (a check and an observation, SQLite)."""

_NEVER = datetime.min.replace(tzinfo=UTC)


def limit_reports(
    assessments: Sequence[Assessment], memories: Mapping[str, Memory], most: int = MOST_REPORTS
) -> tuple[Assessment, ...]:
    """Return the assessments with at most so many reports; the others' turn comes at the next ticks.

    Bad news goes first, then who was told of longest ago. What is asked for (redeploy, pause) is left as it is.

    Args:
        assessments: of this tick.
        memories: by route, of the tick before.
        most: reports that are kept.
    """
    waiting = sorted(
        (item for item in assessments if item.report),
        key=lambda item: (item.report is not None and item.report.passed, _told(memories.get(item.status.route))),
    )
    later = {item.status.route for item in waiting[most:]}
    return tuple(
        _untold(item, memories.get(item.status.route)) if item.status.route in later else item for item in assessments
    )


def _untold(item: Assessment, before: Memory | None) -> Assessment:
    told = {
        "reported": before.reported if before else None,
        "reported_at": before.reported_at if before else None,
    }
    return replace(item, report=None, memory=item.memory.model_copy(update=told))


def _told(memory: Memory | None) -> datetime:
    return memory.reported_at if memory and memory.reported_at else _NEVER
