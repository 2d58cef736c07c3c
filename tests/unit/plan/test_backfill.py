"""What a backfill replaces: bounded by what Kafka still has and by what the live router has committed."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.backfill import (
    KAFKA,
    Backfill,
    Request,
    Scope,
    Span,
    TableSnapshot,
    TimeRange,
    hours,
    hours_of,
    merged,
    outline,
    parse_span,
)

TEN = datetime(2026, 11, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def span(begin: int, end: int, partition: int = 0) -> Span:
    return Span(topic="clicks", partition=partition, begin=begin, end=end)


def test_what_the_live_router_has_not_committed_is_left_to_it() -> None:
    found = outline((), [span(0, 100)], {"clicks": {0: 0}}, {"clicks": {0: 60}})
    assert found.scope.spans == (span(0, 60),)
    assert found.unsettled == (span(60, 100),)


def test_a_partition_that_nothing_landed_of_is_not_touched() -> None:
    found = outline((), [span(0, 100), span(0, 100, 1)], {"clicks": {0: 0, 1: 0}}, {"clicks": {0: 100}})
    assert found.scope.spans == (span(0, 100),)
    assert found.unsettled == (span(0, 100, 1),)


def test_what_kafka_has_deleted_is_told_and_its_rows_are_left_alone() -> None:
    found = outline((), [span(10, 100)], {"clicks": {0: 40}}, {"clicks": {0: 100}})
    assert found.scope.spans == (span(40, 100),)
    assert found.gone == (span(10, 40),)
    assert found.unsettled == ()


def test_nothing_is_left_where_kafka_has_deleted_all() -> None:
    found = outline((), [span(10, 30)], {"clicks": {0: 40}}, {"clicks": {0: 100}})
    assert (found.scope.spans, found.gone, found.unsettled) == ((), (span(10, 30),), ())


def test_what_is_deleted_and_what_is_not_committed_tile_what_was_asked_for() -> None:
    for first in range(0, 12, 3):
        for settled in range(0, 12, 3):
            found = outline((), [span(2, 10)], {"clicks": {0: first}}, {"clicks": {0: settled}})
            parts = [*found.gone, *found.scope.spans, *found.unsettled]
            assert [offset for part in parts for offset in range(part.begin, part.end)] == list(range(2, 10))


def test_a_partition_that_the_topic_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="clicks has no partition 7"):
        outline((), [span(0, 10, 7)], {"clicks": {0: 0}}, {})


def test_hours_that_touch_are_one_range() -> None:
    assert hours([TEN + HOUR, TEN, TEN + 3 * HOUR]) == (
        TimeRange(start=TEN, end=TEN + 2 * HOUR),
        TimeRange(start=TEN + 3 * HOUR, end=TEN + 4 * HOUR),
    )
    overlapping = (TimeRange(start=TEN, end=TEN + HOUR), TimeRange(start=TEN + HOUR / 2, end=TEN + HOUR * 3 / 4))
    assert merged(overlapping) == (TimeRange(start=TEN, end=TEN + HOUR),)


def test_the_end_of_a_range_does_not_belong_to_it() -> None:
    scope = Scope(times=(TimeRange(start=TEN, end=TEN + HOUR),))
    assert scope.holds_time(TEN)
    assert not scope.holds_time(TEN + HOUR)
    assert not scope.holds_time(None)
    assert scope.touches_hour(TEN)
    assert not scope.touches_hour(TEN + HOUR)
    assert hours_of(scope) == (TEN,)


def test_a_part_of_an_hour_touches_that_hour_only() -> None:
    scope = Scope(times=(TimeRange(start=TEN + HOUR / 2, end=TEN + HOUR * 3 / 2),))
    assert hours_of(scope) == (TEN, TEN + HOUR)
    assert [scope.touches_hour(TEN + number * HOUR) for number in range(-1, 3)] == [False, True, True, False]


def test_offsets_without_times_take_rows_of_any_time() -> None:
    assert Scope(spans=(span(0, 1),)).holds_time(None)
    assert Scope(spans=(span(0, 1),)).touches_hour(None)


def test_spans_are_read_as_they_are_written() -> None:
    assert parse_span("a.b-c:3:10-20") == Span(topic="a.b-c", partition=3, begin=10, end=20)
    assert parse_span(str(span(4, 9))) == span(4, 9)
    for wrong in ("clicks", "clicks:0:9-9", "clicks:0:9-3", "clicks:x:1-2", "clicks:0:1", ":0:1-2"):
        with pytest.raises(InvalidSpec, match="no range of offsets"):
            parse_span(wrong)


def test_another_plan_is_another_request_and_the_same_one_is_found_again() -> None:
    request = Request(times=hours([TEN]))
    assert request.key("digest") == Request(times=hours([TEN])).key("digest")
    assert len({request.key("digest"), request.key("other"), Request(times=hours([TEN + HOUR])).key("digest")}) == 3


def test_what_the_table_keeps_of_a_backfill_is_read_back_as_it_was() -> None:
    scope = Scope(times=hours([TEN]), spans=(span(1, 2), span(3, 4, 1)))
    backfill = Backfill(branch="backfill-1-2", request="1", scope=scope)
    assert Backfill.model_validate_json(backfill.model_dump_json()) == backfill
    assert len(backfill.job_id) == 32
    assert (scope.begins, scope.ends, scope.offsets) == ("clicks:0:1;clicks:1:3", "clicks:0:2;clicks:1:4", 2)


def test_where_the_events_are_read_is_part_of_the_request_and_kept() -> None:
    request = Request(times=hours([TEN]))
    assert request.key("digest") != request.model_copy(update={"from_table": "raw.clicks"}).key("digest")
    source = TableSnapshot(table="raw.clicks", snapshot_id=7)
    backfill = Backfill(branch="backfill-1-2", request="1", scope=Scope(spans=(span(1, 2),)), source=source)
    assert Backfill.model_validate_json(backfill.model_dump_json()) == backfill


def test_a_backfill_of_before_there_were_tables_to_read_from_is_gone_on_with() -> None:
    kept = '{"branch": "backfill-1-2", "request": "1", "scope": {"times": [], "spans": []}}'
    assert Backfill.model_validate_json(kept).source == KAFKA
    request = Request(spans=(span(1, 2),))
    document = '{"times":[],"spans":[{"topic":"clicks","partition":0,"begin":1,"end":2}],"late":"PT1H"}'
    assert request.key("digest") == hashlib.sha256(f"digest {document}".encode()).hexdigest()[:10]
