"""What is expected to arrive, from the same hours of past weeks."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

WEEKS = 4
"""Weeks that are looked back at. The median of them counts, so that one odd week does not."""

SOON = timedelta(hours=1)
"""What comes within this time is scaled up for now."""

LATER = timedelta(hours=3)
"""What comes within this time is not scaled down for: a change that is taken back in the same evening saves nothing."""

GROWTH = (0.5, 2.0)
"""Least and most that this week may differ from past ones; beyond it the past says nothing about today."""

_RECENT = 3
"""Full hours of today that are compared with those of past weeks."""

_WEEK = timedelta(weeks=1)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Forecast:
    """The greatest hourly rate that is expected, events/s.

    Attributes:
        soon: in this hour and those that begin within SOON.
        later: in this hour and those that begin within LATER.
    """

    soon: float
    later: float


def hours_of(now: datetime) -> tuple[datetime, ...]:
    """Return the beginnings of the hours whose arrival a forecast at that time rests on, ascending."""
    this = now.replace(minute=0, second=0, microsecond=0)
    recent = [this - _HOUR * count for count in range(_RECENT, 0, -1)]
    coming = [this + _HOUR * count for count in range(int(LATER / _HOUR) + 1)]
    past = [hour - _WEEK * weeks for weeks in range(WEEKS, 0, -1) for hour in (*recent, *coming)]
    return (*past, *recent)


def forecast(hourly: Mapping[datetime, float], now: datetime) -> Forecast | None:
    """Return what is expected, or None when an hour to come has no counterpart in past weeks.

    Args:
        hourly: mean arrival by the beginning of the hour (UTC, full hours), events/s, of the past weeks and of today.
        now: the time, UTC.
    """
    this = now.replace(minute=0, second=0, microsecond=0)
    growth = _growth(hourly, this)
    coming = [this + _HOUR * count for count in range(int(LATER / _HOUR) + 1)]
    usual = [_usual(hourly, hour) for hour in coming]
    if any(rate is None for rate in usual):
        return None
    expected = [rate * growth for rate in usual if rate is not None]
    return Forecast(soon=max(expected[: int(SOON / _HOUR) + 1]), later=max(expected))


def _usual(hourly: Mapping[datetime, float], hour: datetime) -> float | None:
    found = [hourly[past] for weeks in range(1, WEEKS + 1) if (past := hour - _WEEK * weeks) in hourly]
    return statistics.median(found) if found else None


def _growth(hourly: Mapping[datetime, float], this: datetime) -> float:
    """Return how much more arrives today than usual, from the last full hours."""
    pairs = [
        (hourly.get(hour), _usual(hourly, hour)) for hour in (this - _HOUR * count for count in range(1, _RECENT + 1))
    ]
    ratios = [actual / usual for actual, usual in pairs if actual is not None and usual]
    least, most = GROWTH
    return min(max(statistics.median(ratios), least), most) if ratios else 1.0
