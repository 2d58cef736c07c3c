"""The lake's contract, on a real catalog with real Parquet files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assets.compaction.compact import compact_hour
from keystone_platform.errors import InvalidSpec, Terminal, Transient
from keystone_platform.gateways import iceberg_files
from keystone_platform.gateways.iceberg_schema import TABLE_PROPERTIES
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.spec.types import Field, Scalar, Struct
from tests.contract.lake_tables import (
    ELEVEN,
    TABLE,
    TEN,
    lake_with_table,
    land,
    local_settings,
    warehouse_plan,
)


def test_a_second_apply_changes_nothing(tmp_path: Path) -> None:
    lake = IcebergLake(local_settings(tmp_path))
    assert lake.ensure_table(warehouse_plan()).created
    before = lake.head(TABLE)
    assert not lake.ensure_table(warehouse_plan()).is_change
    assert lake.head(TABLE) == before


def test_rows_of_before_a_change_stay_readable_after_it(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path, ("user_id", Scalar.INT), ("gone", Scalar.STRING))
    land(table, range(10))
    device = ("device", Struct((Field("os", Scalar.STRING),)))
    change = lake.ensure_table(warehouse_plan(device, ("user_id", Scalar.BIGINT)))
    assert (change.widened, len(change.added)) == (("user_id long",), 1)
    land(lake.load(TABLE), range(10, 20))
    rows = lake.load(TABLE).scan().to_arrow().sort_by("_offset").to_pylist()
    assert [row["user_id"] for row in rows] == list(range(20))
    assert {row["device"] for row in rows} == {row["gone"] for row in rows} == {None}


def test_an_incompatible_change_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    lake, _ = lake_with_table(tmp_path, ("user_id", Scalar.STRING))
    before = lake.head(TABLE)
    with pytest.raises(InvalidSpec, match=r"user_id is string, wanted long.*another table"):
        lake.ensure_table(warehouse_plan(("user_id", Scalar.BIGINT), ("new", Scalar.INT)))
    assert lake.head(TABLE) == before


def test_two_creators_at_once_both_succeed(tmp_path: Path) -> None:
    lakes = [IcebergLake(local_settings(tmp_path)) for _ in range(4)]
    lakes[0].tables()  # the database itself is made by `keystone up`, once
    with ThreadPoolExecutor(4) as pool:
        changes = list(pool.map(lambda lake: lake.ensure_table(warehouse_plan()), lakes))
    assert sum(change.created for change in changes) == 1
    assert lakes[0].tables() == (TABLE,)


def test_two_routes_that_evolve_one_table_at_once_both_get_their_columns(tmp_path: Path) -> None:
    lake_with_table(tmp_path)
    plans = [warehouse_plan(("user_id", Scalar.BIGINT), (f"column_{number}", Scalar.INT)) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda plan: IcebergLake(local_settings(tmp_path)).ensure_table(plan), plans))
    columns = IcebergLake(local_settings(tmp_path)).load(TABLE).schema().column_names
    assert {f"column_{number}" for number in range(4)} < set(columns)


def test_a_property_that_an_operator_changed_is_left(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    with table.transaction() as transaction:
        transaction.set_properties({"write.parquet.compression-level": "9"})
        transaction.remove_properties("write.distribution-mode")
    assert lake.ensure_table(warehouse_plan()).is_change is False
    found = lake.load(TABLE).properties
    assert found["write.parquet.compression-level"] == "9"
    assert found["write.distribution-mode"] == TABLE_PROPERTIES["write.distribution-mode"]


def test_data_files_have_entropy_in_their_keys(tmp_path: Path) -> None:
    _, table = lake_with_table(tmp_path)
    land(table, range(80), files=8)
    prefixes = {entry.data_file.file_path.split("/data/")[1][:14] for entry in iceberg_files.live_entries(table)}
    assert len(prefixes) == 8
    assert all(set(prefix) <= set("01/") for prefix in prefixes)


def test_an_unreachable_catalog_is_transient_and_names_no_password(tmp_path: Path) -> None:
    settings = local_settings(tmp_path)
    uri = "postgresql+psycopg://keystone:canary-secret@127.0.0.1:1/catalog"
    lake = IcebergLake(settings.model_copy(update={"catalog": {**settings.catalog, "uri": uri}}))
    with pytest.raises(Transient) as caught:
        lake.tables()
    assert "canary-secret" not in str(caught.value)


def test_refused_access_is_terminal_and_names_the_key_not_the_secret(tmp_path: Path) -> None:
    lake, _table = lake_with_table(tmp_path)
    lake._properties |= {"s3.access-key-id": "AKID", "s3.secret-access-key": "canary-secret"}
    with pytest.raises(Terminal) as caught, lake.translated():
        raise OSError("When reading: AWS Error ACCESS_DENIED during HeadObject operation")
    assert "AKID" in str(caught.value)
    assert "canary-secret" not in str(caught.value)


def test_an_unknown_table_names_the_known_ones(tmp_path: Path) -> None:
    lake, _ = lake_with_table(tmp_path)
    assert lake.head("events.nope") is None
    with pytest.raises(InvalidSpec, match=TABLE):
        lake.hours("events.nope")


def test_totals_are_those_of_the_hour(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(1000), files=4)
    land(table, range(1000, 1100), hour=ELEVEN)
    ten, eleven = lake.hours(TABLE)
    assert (ten.hour, ten.rows, ten.files, ten.small_files) == (TEN, 1000, 4, 4)
    assert (eleven.hour, eleven.rows, eleven.files) == (ELEVEN, 100, 1)
    assert ten.first_time == TEN
    assert ten.last_time == TEN + timedelta(milliseconds=999)
    assert lake.hours(TABLE, {ELEVEN}) == (eleven,)
    head = lake.head(TABLE)
    assert head is not None
    assert (head.rows, head.files, head.bytes) == (1100, 5, ten.bytes + eleven.bytes)
    assert eleven.changed_at == head.committed_at


def test_an_empty_table_has_no_hours_and_no_changes(tmp_path: Path) -> None:
    lake, _ = lake_with_table(tmp_path)
    assert lake.hours(TABLE) == ()
    changes = lake.changes_since(TABLE, None)
    assert (changes.snapshot_id, changes.hours, changes.complete) == (None, (), True)


def test_only_what_came_after_the_cursor_is_new(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100))
    seen = lake.changes_since(TABLE, None).snapshot_id
    assert lake.changes_since(TABLE, seen).hours == ()
    land(table, range(100, 130), hour=ELEVEN)
    land(table, range(130, 140), hour=ELEVEN)
    (change,) = lake.changes_since(TABLE, seen).hours
    assert (change.hour, change.rows_added, change.new_data) == (ELEVEN, 40, True)


def test_a_compaction_changes_an_hour_and_adds_no_rows(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100), files=4)
    land(table, range(100, 200), hour=ELEVEN, files=4)
    seen = lake.changes_since(TABLE, None).snapshot_id
    compact_hour(lake, TABLE, TEN)
    (change,) = lake.changes_since(TABLE, seen).hours
    assert (change.hour, change.rows_added, change.new_data) == (TEN, 0, False)


def test_an_expired_snapshot_reports_every_hour_instead_of_missing_some(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100))
    seen = lake.changes_since(TABLE, None).snapshot_id
    land(table, range(100, 200), hour=ELEVEN)
    table.maintenance.expire_snapshots().older_than(datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)).commit()
    changes = lake.changes_since(TABLE, seen)
    assert not changes.complete
    assert [(change.hour, change.rows_added) for change in changes.hours] == [(TEN, 100), (ELEVEN, 100)]


def test_a_cursor_of_long_ago_costs_one_look_at_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iceberg_files, "MAX_SNAPSHOTS", 3)
    lake, table = lake_with_table(tmp_path)
    land(table, range(10))
    seen = lake.changes_since(TABLE, None).snapshot_id
    for number in range(1, 3):
        land(table, range(number * 10, number * 10 + 10))
    assert lake.changes_since(TABLE, seen).complete
    land(table, range(30, 40))
    changes = lake.changes_since(TABLE, seen)
    assert (changes.complete, changes.hours[0].rows_added) == (False, 40)


def test_rows_without_a_time_are_counted_apart(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(10), hour=None)
    land(table, range(10, 20))
    assert [(total.hour, total.rows) for total in lake.hours(TABLE)] == [(TEN, 10), (None, 10)]
    assert [total.hour for total in lake.hours(TABLE, {None})] == [None]
