"""Analysts over a table that a router writes: its history, its proven hours, and the published file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from keystone_platform.gateways.clock import SystemClock
from keystone_platform.gateways.iceberg_snapshots import snapshot_facts
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.answer import ask
from keystone_platform.query.moment import AsOf, LastProven, Moment, Newest, OfSnapshot
from keystone_platform.query.session import bare_session
from keystone_platform.query.warehouse_file import FILE, refresh
from tests.contract.lake_tables import prove
from tests.e2e.platform import Platform, stream_yaml

pytestmark = pytest.mark.stack

TABLE = "tests.analysed"


def test_a_routers_table_can_be_read_at_each_moment_and_from_the_published_file(
    platform: Platform, tmp_path: Path
) -> None:
    platform.declare("analysed", stream_yaml("analysed", interval_s=2))
    verdict = platform.apply("analysed.warehouse")
    assert verdict.deployment is not None
    lake = IcebergLake(platform.settings)

    def count(moment: Moment, table: str = TABLE) -> int:
        (row,) = ask(platform.settings, f"select count(*) from {table}", moment).rows()
        return int(row[0])

    platform.produce("analysed", range(1000))
    platform.wait_for_rows("analysed", 1000)
    then = lake.head(TABLE)
    assert then is not None
    assert then.committed_at is not None
    prove(lake.load(TABLE), datetime.now(UTC))
    published = refresh(platform.settings, tmp_path / FILE, SystemClock()).published
    platform.produce("analysed", range(1000, 1500))
    platform.wait_for_rows("analysed", 1500)

    assert count(Newest()) == 1500
    assert count(AsOf(then.committed_at)) == 1000
    assert count(OfSnapshot(then.snapshot_id or 0)) == 1000
    assert count(LastProven()) == count(Newest(), "tests_proven.analysed") == 1000
    facts = snapshot_facts(lake.load(TABLE))
    assert sum(each.rows_added for each in facts) == 1500
    assert {each.job for each in facts} == {verdict.deployment.job_id}
    assert [each.checkpoint for each in facts] == sorted((each.checkpoint or 0 for each in facts), reverse=True)
    with bare_session(platform.settings.s3) as session:
        session.execute(f"ATTACH '{published}' AS warehouse (READ_ONLY)")
        shown = session.execute(
            f"select (select count(*) from warehouse.{TABLE}), count(*) from warehouse.tests_proven.analysed"
        )
        assert shown.fetchone() == (1000, 1000)
