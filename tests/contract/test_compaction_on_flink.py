"""An hour is compacted on the real Flink cluster while rows keep coming: the same rows, in few files, in one commit."""

from __future__ import annotations

import os
import threading

import pytest

from assets.compaction.on_flink import compact_hour_on_flink
from keystone_platform.gateways.iceberg_files import is_compaction
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.session import open_session
from keystone_platform.settings import Settings
from keystone_platform.stack.embedded import EmbeddedStack
from tests.contract.lake_tables import ELEVEN, TEN, land, warehouse_plan

pytestmark = pytest.mark.stack

TABLE = "events.compacted_on_flink"
SUM = f"SELECT count(*), sum(hash(COLUMNS(*))) FROM {TABLE} WHERE _offset < 1000"


def checksum(settings: Settings) -> list[tuple[object, ...]]:
    with open_session(settings, [TABLE]) as session:
        return session.execute(SUM).fetchall()


@pytest.mark.timeout(300)
def test_an_hour_is_compacted_on_the_cluster_and_rows_that_come_meanwhile_stay(stack: EmbeddedStack) -> None:
    settings = stack.settings()
    lake = IcebergLake(settings)
    lake.ensure_table(warehouse_plan(table=TABLE))
    land(lake.load(TABLE), range(900), files=9)
    land(lake.load(TABLE), range(900, 1000), hour=ELEVEN, files=2)
    before = checksum(settings)
    ended = threading.Event()
    landed = 1000

    def append() -> None:
        nonlocal landed
        own = IcebergLake(settings)
        while not ended.wait(1):
            land(own.load(TABLE), range(landed, landed + 10))
            landed += 10

    appender = threading.Thread(target=append)
    appender.start()
    try:
        report = compact_hour_on_flink(settings, os.environ, lake, TABLE, TEN)
    finally:
        ended.set()
        appender.join()
    assert (report.files_before >= 9, len(report.written), report.rows >= 900) == (True, 1, True)
    assert checksum(settings) == before
    with open_session(settings, [TABLE]) as session:
        found = session.execute(f"SELECT count(*), count(DISTINCT _offset) FROM {TABLE}").fetchone()
    assert found == (landed, landed)
    table = lake.load(TABLE)
    assert sum(is_compaction(snapshot) for snapshot in table.snapshots()) == 1
    assert [total.files for total in lake.hours(TABLE, {ELEVEN})] == [2]
