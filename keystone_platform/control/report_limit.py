"""How much one tick of the health sensor writes down: what the tick costs must not grow with what there is to tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from keystone_platform.control.health import Assessment
from keystone_platform.control.memory import Memory
from keystone_platform.control.report import Report

MOST_REPORTS = 150
"""Routes that are reported at one tick. Dagster needs about 10 ms for each of up to three events (SQLite)."""

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
        (item for item in assessments if _reports(item)),
        key=lambda item: (all(report.passed for report in _reports(item)), _told(memories.get(item.status.route))),
    )
    later = {item.status.route for item in waiting[most:]}
    return tuple(
        _untold(item, memories.get(item.status.route)) if item.status.route in later else item for item in assessments
    )


def _reports(item: Assessment) -> list[Report]:
    return [report for report in (item.report, item.progress) if report]


def _untold(item: Assessment, before: Memory | None) -> Assessment:
    told = {
        "told": before.told if before else None,
        "told_progress": before.told_progress if before else None,
    }
    return replace(item, report=None, progress=None, memory=item.memory.model_copy(update=told))


def _told(memory: Memory | None) -> datetime:
    times = [told.at for told in (memory.told, memory.told_progress) if told] if memory else []
    return min(times, default=_NEVER)
