"""What `keystone backfill` takes for a range, before it touches anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keystone_platform.commands import backfill as command
from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.backfill import Request, TimeRange

TEN = datetime(2026, 11, 1, 10, tzinfo=UTC)


def request(*hour: str, start: str | None = None, end: str | None = None, spans: tuple[str, ...] = ()) -> Request:
    return command._request(hour, start, end, spans, 1.0)


def test_hours_and_a_range_add_up() -> None:
    found = request("2026-11-01T10", start="2026-11-01T11:00", end="2026-11-01T11:30")
    assert found.times == (TimeRange(start=TEN, end=TEN + timedelta(hours=1, minutes=30)),)


def test_a_time_with_a_zone_is_the_same_moment_in_utc() -> None:
    assert request("2026-11-01T12+02:00") == request("2026-11-01T10")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"hour": ("2026-11-01T10:30",)}, "no whole hour"),
        ({"hour": ("yesterday",)}, "no time"),
        ({"start": "2026-11-01T10"}, "belong together"),
        ({"start": "2026-11-01T11", "end": "2026-11-01T11"}, "not before"),
        ({}, "takes a range"),
        ({"hour": ("2026-11-01T10",), "spans": ("clicks:0:1-2",)}, "takes a range"),
        ({"spans": ("clicks:0:2-1",)}, "no range of offsets"),
        ({"start": "1970-01-01", "end": "2026-01-01"}, "more than 100 days"),
    ],
)
def test_a_range_that_is_none_is_refused_with_the_way_to_write_it(given: dict[str, object], complaint: str) -> None:
    hour, start, end, spans = (given.get(name) for name in ("hour", "start", "end", "spans"))
    with pytest.raises(InvalidSpec, match=complaint) as refused:
        command._request(hour or (), start, end, spans or (), 1.0)  # type: ignore[arg-type] # as the cases have them
    assert refused.value.mend


def test_a_table_to_read_from_goes_with_times_and_with_offsets() -> None:
    of_times = command._request(("2026-11-01T10",), None, None, (), 1.0, "raw.clicks")
    of_offsets = command._request((), None, None, ("clicks:0:1-2",), 1.0, "raw.clicks")
    assert (of_times.from_table, of_offsets.from_table) == ("raw.clicks", "raw.clicks")
