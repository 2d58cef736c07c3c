"""Hours past their age: dropped whole, by metadata, and no router begins a partition anew for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assets.compaction.compact import compact_hour
from assets.progress import Cursor, tick
from assets.upkeep import retention
from keystone_platform.gateways.lake import IcebergLake
from tests.contract.lake_tables import TABLE, land, local_settings
from tests.contract.upkeep_tables import TOPICS, World, commit, new_world

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
OLD = NOW - timedelta(days=9)
OLDER = OLD - timedelta(hours=3)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = new_world(tmp_path)
    world.keep_days = 7
    world.clock.by, world.clock.stands_at = timedelta(minutes=5), NOW
    land(world.table, range(10), hour=OLDER, files=3)
    land(world.table, range(10, 30), hour=OLD, files=2)
    land(world.table, range(500, 510), hour=OLD, partition=1)
    return world


def test_hours_past_their_age_go_and_rows_without_a_time_stay(world: World) -> None:
    land(world.table, range(30, 40), hour=NOW)
    land(world.table, range(40, 45), hour=None)
    land(world.table, range(45, 50), hour=NOW - timedelta(days=7))
    told = world.upkeep("retention", dry_run=True)
    assert len(world.offsets()) == 60
    report = world.upkeep("retention")
    assert report.removed == told.removed
    assert (report.count("hours"), report.count("rows")) == (2, 40)
    assert world.offsets() == list(range(30, 50))
    assert world.upkeep("retention").removed == ()


def test_a_late_row_goes_the_next_time(world: World) -> None:
    world.upkeep("retention")
    land(world.table, [60], hour=OLD)  # type: ignore[arg-type]
    assert world.offsets() == [60]
    assert world.upkeep("retention").count("rows") == 1
    assert world.offsets() == []


def test_a_router_goes_on_where_the_table_ended_though_all_its_rows_are_gone(world: World) -> None:
    before = world.lake.next_offsets(TABLE, TOPICS)
    assert before == {"playback": {0: 30, 1: 510}}
    world.upkeep("retention")
    assert world.offsets() == []
    assert world.lake.next_offsets(TABLE, TOPICS) == before
    land(world.table, range(30, 33), hour=NOW)
    assert world.lake.next_offsets(TABLE, TOPICS) == {"playback": {0: 33, 1: 510}}
    land(world.table, [33], hour=OLD)  # type: ignore[arg-type]
    world.upkeep("retention")
    assert world.lake.next_offsets(TABLE, TOPICS) == {"playback": {0: 34, 1: 510}}


def test_without_keep_days_nothing_goes(world: World) -> None:
    world.keep_days = None
    assert world.upkeep("retention").removed == ()
    assert len(world.offsets()) == 40


def test_many_files_go_in_several_commits_of_whole_hours(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "FILES_PER_COMMIT", 2)
    before = len(world.table.metadata.snapshots)
    assert world.upkeep("retention").count("rows") == 40
    assert len(world.table.metadata.snapshots) - before == 2
    assert world.offsets() == []


def test_a_compaction_and_a_router_in_between_lose_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = retention.next_offsets
    acts = [
        lambda: compact_hour(world.lake, TABLE, OLDER),  # the files that were to go are replaced
        lambda: commit(world.table, range(70, 80), hour=NOW),
    ]

    def act_before_the_commit(*arguments: object) -> object:
        told = ends(*arguments)  # type: ignore[arg-type]
        if acts:
            acts.pop(0)()
        return told

    monkeypatch.setattr(retention, "next_offsets", act_before_the_commit)
    report = world.upkeep("retention")
    assert (report.error, acts) == (None, [])
    assert world.offsets() == list(range(70, 80))
    assert world.lake.next_offsets(TABLE, TOPICS) == {"playback": {0: 80, 1: 510}}
    assert world.lake.committed_checkpoint(TABLE, "job-a") == 1


def test_dropped_hours_are_reported_once_with_no_rows_and_not_as_new_data(world: World) -> None:
    def news(cursor: Cursor) -> tuple[list[tuple[object, int, bool]], Cursor]:
        told = []
        for found, reached in tick(IcebergLake(local_settings(world.folder)), [TABLE], cursor, lambda: False):
            told += [(hour.totals.hour, hour.totals.rows, hour.new_data) for hour in found.hours]
            cursor = reached
        return told, cursor

    _, cursor = news(Cursor())
    world.upkeep("retention")
    told, cursor = news(cursor)
    assert told == [(OLDER, 0, False), (OLD, 0, False)]
    assert news(cursor)[0] == []


def test_the_files_go_when_the_snapshots_do_that_still_have_them(world: World) -> None:
    files = set(world.folder.rglob("*.parquet"))
    world.upkeep()
    assert set(world.folder.rglob("*.parquet")) == files
    world.clock.by, world.clock.stands_at = timedelta(days=2), None
    report = world.upkeep()
    assert report.count("data files") == len(files) == 6
    assert not set(world.folder.rglob("*.parquet"))
