"""The sensors' ticks over real tables: what they report, and that every tick ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assets.compaction.compact import compact_hour
from assets.progress import Cursor, Position, TableNews, tick
from keystone_platform.gateways import iceberg_files
from keystone_platform.gateways.lake import IcebergLake
from tests.contract.lake_tables import ELEVEN, TABLE, TEN, lake_with_table, land, local_settings, warehouse_plan

TABLES = [TABLE, "events.other"]


def never() -> bool:
    return False


@pytest.fixture
def lake(tmp_path: Path) -> IcebergLake:
    lake, _ = lake_with_table(tmp_path)
    lake.ensure_table(warehouse_plan(table="events.other"))
    return IcebergLake(local_settings(tmp_path))


def run(lake: IcebergLake, cursor: Cursor, **options: object) -> tuple[list[TableNews], Cursor]:
    news = []
    for found, reached in tick(lake, TABLES, cursor, **{"is_over": never, **options}):  # type: ignore[arg-type]
        news.append(found)
        cursor = reached
    return news, cursor


def hours(news: list[TableNews]) -> list[tuple[str, object, int, bool]]:
    return [(hour.table, hour.totals.hour, hour.rows_added, hour.new_data) for found in news for hour in found.hours]


def test_each_change_is_reported_once(lake: IcebergLake) -> None:
    land(lake.load(TABLE), range(10))
    news, cursor = run(lake, Cursor())
    assert hours(news) == [(TABLE, TEN, 10, True)]
    news, cursor = run(lake, cursor)
    assert hours(news) == []
    land(lake.load("events.other"), range(5), hour=ELEVEN)
    news, cursor = run(lake, cursor)
    assert hours(news) == [("events.other", ELEVEN, 5, True)]


def test_a_compaction_is_reported_as_no_new_data(lake: IcebergLake) -> None:
    land(lake.load(TABLE), range(10), files=3)
    _, cursor = run(lake, Cursor())
    compact_hour(lake, TABLE, TEN)
    news, _ = run(lake, cursor)
    assert hours(news) == [(TABLE, TEN, 0, False)]
    assert news[0].hours[0].totals.files == 1


def test_a_backlog_is_worked_off_over_several_ticks(lake: IcebergLake) -> None:
    table = lake.load(TABLE)
    starts = [TEN + timedelta(hours=number) for number in range(5)]
    for number, start in enumerate(starts):
        land(table, range(number, number + 1), hour=start)
    seen: list[object] = []
    cursor = Cursor()
    for _ in range(6):
        news, cursor = run(lake, cursor, limit=2)
        assert sum(len(found.hours) for found in news) <= 2
        seen += [hour for _, hour, _, new in hours(news) if new]
    assert seen == starts


def test_a_tick_that_is_over_leaves_the_rest_to_the_next(lake: IcebergLake) -> None:
    for table in TABLES:
        land(lake.load(table), range(10))
    news, cursor = run(lake, Cursor(), is_over=lambda: True)
    assert [found.table for found in news] == [TABLE]
    news, cursor = run(lake, cursor, is_over=lambda: True)
    assert [found.table for found in news] == ["events.other"]


def test_a_table_that_does_not_exist_yet_stops_nothing(lake: IcebergLake) -> None:
    land(lake.load(TABLE), range(10))
    found = [news.table for news, _ in tick(lake, ["events.nope", TABLE], Cursor(), never)]
    assert found == [TABLE]


def test_an_expired_snapshot_in_the_cursor_reports_all_hours(lake: IcebergLake) -> None:
    land(lake.load(TABLE), range(10))
    news, cursor = run(lake, Cursor({TABLE: Position(snapshot=42)}))
    assert hours(news) == [(TABLE, TEN, 10, True)]
    assert run(lake, cursor)[0][0].hours == ()


def test_kept_hours_are_looked_at_again_without_a_change(lake: IcebergLake) -> None:
    land(lake.load(TABLE), range(10))
    keep = {"keep": lambda news: [hour.totals.hour for hour in news.hours]}
    _, cursor = run(lake, Cursor(), **keep)
    news, cursor = run(lake, cursor, **keep)
    assert [hour.totals.hour for hour in news[0].hours] == [TEN]
    news, cursor = run(lake, cursor)
    assert run(lake, cursor)[0][0].hours == ()


def test_an_unchanged_table_is_not_read(lake: IcebergLake, monkeypatch: pytest.MonkeyPatch) -> None:
    land(lake.load(TABLE), range(10))
    _, cursor = run(lake, Cursor())

    def fail(*_: object) -> None:
        raise AssertionError("a manifest was read")

    monkeypatch.setattr(iceberg_files, "live_entries", fail)
    monkeypatch.setattr(iceberg_files, "_changes_of", fail)
    assert hours(run(lake, cursor)[0]) == []


def test_rows_of_an_hour_that_was_over_long_ago_landed_late(lake: IcebergLake) -> None:
    land(lake.load(TABLE), range(10))
    _, cursor = run(lake, Cursor())
    land(lake.load(TABLE), range(10, 13))
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    land(lake.load(TABLE), range(13, 17), hour=this_hour)
    compact_hour(lake, TABLE, TEN)
    news, _ = run(lake, cursor)
    assert [(hour.totals.hour, hour.late_rows) for found in news for hour in found.hours] == [(TEN, 3), (this_hour, 0)]
    assert {hour.table_rows for found in news for hour in found.hours} == {17}
