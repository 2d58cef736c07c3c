"""Up to where a real table holds its topics' events, whatever compaction and late hours make of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from assets.compaction.compact import compact_hour
from keystone_platform.gateways import landed_ends
from keystone_platform.gateways.lake import IcebergLake
from tests.contract.lake_tables import ELEVEN, TABLE, TEN, lake_with_table, land, local_settings

TOPICS = ["playback"]


@pytest.fixture
def lake(tmp_path: Path) -> IcebergLake:
    lake_with_table(tmp_path)
    return IcebergLake(local_settings(tmp_path))


def test_no_table_and_no_rows_have_no_end(lake: IcebergLake) -> None:
    assert lake.next_offsets("events.none", TOPICS) == {}
    assert lake.next_offsets(TABLE, TOPICS) == {}


def test_each_partition_ends_behind_its_largest_offset(lake: IcebergLake) -> None:
    table = lake.load(TABLE)
    land(table, range(1_000), partition=0, files=3)
    land(table, range(10, 70), partition=1)
    land(table, range(1_000, 1_200), hour=ELEVEN, partition=0, files=2)
    assert lake.next_offsets(TABLE, TOPICS) == {"playback": {0: 1_200, 1: 70}}


def test_other_topics_of_the_table_do_not_count(lake: IcebergLake) -> None:
    land(lake.load(TABLE), range(100))
    assert lake.next_offsets(TABLE, ["playback.replay.playback.warehouse"]) == {}


def test_a_compaction_moves_no_end(lake: IcebergLake) -> None:
    table = lake.load(TABLE)
    land(table, range(500), partition=0, files=4)
    land(table, range(30), partition=1, files=2)
    land(table, range(500, 600), hour=ELEVEN, partition=0)
    compact_hour(lake, TABLE, TEN)
    assert lake.next_offsets(TABLE, TOPICS) == {"playback": {0: 600, 1: 30}}


def test_a_late_event_far_back_in_time_counts(lake: IcebergLake) -> None:
    table = lake.load(TABLE)
    land(table, range(100))
    land(table, range(100, 101), hour=TEN - timedelta(days=400))
    assert lake.next_offsets(TABLE, TOPICS) == {"playback": {0: 101}}


def test_only_files_that_may_hold_more_are_read(lake: IcebergLake, monkeypatch: pytest.MonkeyPatch) -> None:
    table = lake.load(TABLE)
    for batch in range(20):
        land(table, range(batch * 100, batch * 100 + 100), partition=batch % 2)
    opened: list[str] = []
    largest = landed_ends._largest
    monkeypatch.setattr(landed_ends, "_largest", lambda table, path: opened.append(path) or largest(table, path))
    assert lake.next_offsets(TABLE, TOPICS) == {"playback": {0: 1_900, 1: 2_000}}
    assert len(opened) == 2
