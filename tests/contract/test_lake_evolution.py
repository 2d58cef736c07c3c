"""A table through every change, on real files: rows of before and after, read by two engines, then compacted."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.compaction.compact import compact_hour
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.router_plan import Renamed, RouterPlan, WarehouseTarget
from keystone_platform.query.session import open_session
from keystone_platform.spec.types import Field, FieldType, Scalar, Struct
from tests.contract.lake_tables import TABLE, TEN, lake_with_table, land, local_settings, warehouse_plan

N, KIND, OLD = ("n", Scalar.INT), ("kind", Scalar.STRING), ("old", Scalar.DOUBLE)
COUNT, FORM, NEW = ("count", Scalar.BIGINT), ("form", Scalar.STRING), ("new", Scalar.FLOAT)
Row = tuple[object, ...]


def plan(
    *columns: tuple[str, FieldType], renamed: tuple[tuple[str, str], ...] = (), dropped: tuple[str, ...] = ()
) -> RouterPlan:
    renames = tuple(Renamed(name=name, was=was) for name, was in renamed)
    target = WarehouseTarget(table=TABLE, renamed=renames or None, dropped=dropped or None)
    return warehouse_plan(*columns).model_copy(update={"target": target})


BEFORE = plan(N, KIND, OLD)
AFTER = plan(COUNT, FORM, NEW, renamed=(("count", "n"), ("form", "kind")))
DROPPED = plan(COUNT, FORM, NEW, renamed=(("count", "n"), ("form", "kind")), dropped=("old",))


def by_pyiceberg(lake: IcebergLake, *columns: str) -> list[Row]:
    rows = lake.load(TABLE).scan(selected_fields=(*columns, "_offset")).to_arrow().sort_by("_offset").to_pylist()
    return [tuple(row[name] for name in columns) for row in rows]


def by_duckdb(folder: Path, *columns: str) -> list[Row]:
    session = open_session(local_settings(folder), [TABLE])
    return session.execute(f'SELECT {", ".join(columns)} FROM {TABLE} ORDER BY "_offset"').fetchall()


def test_rows_of_before_and_after_every_change_are_read_alike_by_both_engines_and_after_compaction(
    tmp_path: Path,
) -> None:
    lake, table = lake_with_table(tmp_path, N, KIND, OLD)
    land(table, range(2), values={"n": [1, -(2**31)], "kind": ["tv", None], "old": [0.5, 1.5]})
    change = lake.ensure_table(AFTER)
    assert (change.renamed, change.widened) == (("count (was n)", "form (was kind)"), ("count long",))
    land(lake.load(TABLE), range(2, 4), values={"count": [2**40, None], "form": ["web", "tv"], "new": [0.25, None]})
    assert lake.ensure_table(DROPPED).dropped == ("old",)
    land(lake.load(TABLE), range(4, 5), values={"count": [7], "form": ["ios"], "new": [2.5]})
    expected = [(1, "tv", None), (-(2**31), None, None), (2**40, "web", 0.25), (None, "tv", None), (7, "ios", 2.5)]
    columns = ("count", "form", "new")
    assert "old" not in lake.load(TABLE).schema().column_names
    assert by_pyiceberg(lake, *columns) == expected
    assert by_duckdb(tmp_path, *columns) == expected
    report = compact_hour(lake, TABLE, TEN)
    assert report.files_after == 1, report
    assert by_pyiceberg(lake, *columns) == expected
    assert by_duckdb(tmp_path, *columns) == expected
    assert not lake.ensure_table(DROPPED).is_change


def test_a_plan_of_before_the_rename_lands_in_the_same_column_and_the_new_plan_finds_it_there(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path, N, KIND, OLD)
    land(table, range(1), values={"n": [1], "kind": ["tv"]})
    lake.ensure_table(AFTER)
    land(lake.load(TABLE), range(1, 2), values={"count": [2**40], "form": ["web"]})
    (first, _) = lake.load(TABLE).snapshots()
    then = lake.load(TABLE).scan(snapshot_id=first.snapshot_id).to_arrow()
    assert then.column_names[:3] == ["n", "kind", "old"], "an older snapshot is read by the names of its day"
    assert lake.ensure_table(BEFORE).renamed == ("n (was count)", "kind (was form)")
    land(lake.load(TABLE), range(2, 3), values={"n": [3], "kind": ["ios"]})
    assert by_duckdb(tmp_path, "n", "kind") == [(1, "tv"), (2**40, "web"), (3, "ios")]
    assert lake.ensure_table(AFTER).renamed == ("count (was n)", "form (was kind)")
    assert by_duckdb(tmp_path, "count", "form") == [(1, "tv"), (2**40, "web"), (3, "ios")]
    assert [name for name in lake.load(TABLE).schema().column_names if name[0] != "_"] == [
        "count",
        "form",
        "old",
        "new",
    ]


def test_files_that_a_router_wrote_by_the_old_schema_are_committed_after_the_change(tmp_path: Path) -> None:
    lake, old = lake_with_table(tmp_path, N, KIND, OLD)
    land(old, range(1), values={"n": [1], "kind": ["tv"], "old": [0.5]})
    lake.ensure_table(AFTER)
    lake.ensure_table(DROPPED)
    land(old, range(1, 2), values={"n": [2], "kind": ["web"], "old": [1.5]})
    assert by_pyiceberg(lake, "count", "form", "new") == [(1, "tv", None), (2, "web", None)]
    assert by_duckdb(tmp_path, "count", "form", "new") == [(1, "tv", None), (2, "web", None)]


def test_what_would_be_refused_is_told_and_nothing_is_touched(tmp_path: Path) -> None:
    lake, _ = lake_with_table(tmp_path, N, KIND)
    before = lake.head(TABLE)
    wrong = plan(("n", Scalar.STRING), FORM, NEW, renamed=(("form", "kind"),))
    assert [(each.column, each.effect.value) for each in lake.column_effects(wrong)] == [
        ("n", "refused"),
        ("form", "renamed"),
        ("new", "added"),
    ]
    with pytest.raises(InvalidSpec, match=r"n is int, wanted string.*`n_new` in `select`"):
        lake.ensure_table(wrong)
    assert lake.head(TABLE) == before


def test_an_object_is_renamed_while_its_fields_are_added_and_widened(tmp_path: Path) -> None:
    before = ("device", Struct((Field("n", Scalar.INT),)))
    after = ("client", Struct((Field("n", Scalar.BIGINT), Field("os", Scalar.STRING))))
    lake, table = lake_with_table(tmp_path, before)
    land(table, range(1), values={"device": [{"n": 1}]})
    lake.ensure_table(plan(after, renamed=(("client", "device"),)))
    land(lake.load(TABLE), range(1, 2), values={"client": [{"n": 2**40, "os": "ios"}]})
    expected = [({"n": 1, "os": None},), ({"n": 2**40, "os": "ios"},)]
    assert by_pyiceberg(lake, "client") == by_duckdb(tmp_path, "client") == expected
