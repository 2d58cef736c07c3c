"""What a rewrite writes: every bit of it, in the declared order, with statistics that every reader may prune by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from assets.compaction import engine, rewrite
from assets.compaction.arrow_files import write_files
from assets.compaction.compact import Choices, compact_hour
from assets.compaction.select import Policy
from assets.compaction.spill import PREFIX, remove_abandoned
from keystone_platform.errors import Terminal
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.spec.types import Array, Field, FieldType, Scalar, Struct
from tests.contract.lake_tables import TABLE, TEN, lake_with_table, land
from tests.contract.test_lake_compaction import everything, files_of, on_disk

ODD = (
    ("text", Scalar.STRING),
    ("yes", Scalar.BOOLEAN),
    ("small", Scalar.INT),
    ("ratio", Scalar.FLOAT),
    ("score", Scalar.DOUBLE),
    ("day", Scalar.DATE),
    ("at", Scalar.TIMESTAMP),
    ("device", Struct((Field("os", Scalar.STRING), Field("inner", Struct((Field("n", Scalar.BIGINT),)))))),
    ("tags", Array(Scalar.STRING)),
)

VALUES: list[dict[str, object]] = [
    {"text": "ünïcode 🎬 and 'quotes'", "yes": True, "small": -(2**31), "ratio": math.nan, "score": -math.inf},
    {"text": "", "yes": False, "small": 2**31 - 1, "ratio": 1.5, "score": math.nan, "day": date(1969, 12, 31)},
    {"text": "z" * 5000, "at": datetime(2026, 3, 29, 1, 30, 0, 999_999, tzinfo=UTC), "day": date(2199, 2, 28)},
    {"device": {"os": "tv", "inner": {"n": 2**63 - 1}}, "tags": ["a", None, ""]},
    {"device": {"os": None, "inner": None}, "tags": []},
    {"score": 0.1, "ratio": -0.0, "tags": None},
]


def land_odd(table: Table, files: int = 3) -> None:
    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    for number in range(files):
        identity = {"_time": TEN, "_topic": "t", "_partition": 1}
        rows = [{**identity, "_offset": number * 100 + row, **value} for row, value in enumerate(VALUES)]
        columns = [pa.array([row.get(field.name) for row in rows], type=field.type) for field in schema]
        written = write_files(table, pa.table(columns, schema=schema).to_batches(), TEN, target_bytes=1 << 30)
        with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
            for file in written:
                append.append_data_file(file)
        table.refresh()


def columns_of(file: pq.ParquetFile) -> list[tuple[str, str]]:
    """Names and types; pyarrow notes in its own files how long its texts may be."""
    return [(field.name, str(field.type).replace("large_", "")) for field in file.schema_arrow]


def bounds(table: Table, files: Sequence[DataFile]) -> dict[str, tuple[object, ...]]:
    """What readers prune by, over all these files."""
    found: dict[str, tuple[object, ...]] = {}
    for field_id in sorted({number for file in files for number in (file.value_counts or {})}):
        name = table.schema().find_column_name(field_id)
        low = [file.lower_bounds[field_id] for file in files if field_id in (file.lower_bounds or {})]
        high = [file.upper_bounds[field_id] for file in files if field_id in (file.upper_bounds or {})]
        values = sum(file.value_counts.get(field_id, 0) for file in files)
        nulls = sum(file.null_value_counts.get(field_id, 0) for file in files)
        found[str(name)] = (set(low), set(high), values, nulls)
    return found


RUNS = pytest.mark.parametrize("policy", [Policy(), Policy(run_bytes=1)], ids=["one run", "a run for each file"])


@RUNS
def test_odd_values_of_every_type_keep_their_bits_and_their_statistics(tmp_path: Path, policy: Policy) -> None:
    lake, table = lake_with_table(tmp_path, *ODD)
    land_odd(table)
    before, counted = everything(lake), bounds(table, files_of(table))
    first = pq.ParquetFile(files_of(table)[0].file_path.removeprefix("file://"))
    types = columns_of(first)
    (path,) = compact_hour(lake, TABLE, TEN, policy).written
    assert repr(everything(lake)) == repr(before)  # NaN is not equal to itself
    file = pq.ParquetFile(path.removeprefix("file://"))
    assert columns_of(file) == types
    assert file.schema_arrow.field("_time").type == pa.timestamp("us", tz="UTC")
    after = bounds(lake.load(TABLE), files_of(lake.load(TABLE)))
    assert counted.pop("_offset") != after.pop("_offset")  # each file has its own
    for name in ("ratio", "score"):  # they hold NaN: DuckDB gives no bounds then, so nobody prunes by them
        counted[name], after[name] = counted[name][2:], after[name][2:]
    assert after == counted


def test_a_file_is_sorted_by_the_declared_columns_and_then_by_identity(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(1000), files=4)
    choices = Choices(sort_by=("user_id", "not_there_yet", "_topic"))
    (path,) = compact_hour(lake, TABLE, TEN, choices=choices).written
    read = pq.read_table(path.removeprefix("file://"), columns=["user_id", "_partition", "_offset"], partitioning=None)
    order = [(name, "ascending") for name in ("user_id", "_partition", "_offset")]
    assert read.equals(read.sort_by(order))
    assert read["user_id"][0] != read["user_id"][-1]


def test_a_file_of_several_runs_is_sorted_within_each(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(1000), files=4)
    size = max(file.file_size_in_bytes for file in files_of(table))
    choices = Choices(sort_by=("user_id",))
    report = compact_hour(lake, TABLE, TEN, Policy(run_bytes=2 * size), choices=choices)
    (path,) = report.written
    file = pq.ParquetFile(path.removeprefix("file://"))
    assert (report.rows, file.metadata.num_row_groups) == (1000, 2)
    for group in range(2):
        run = file.read_row_group(group, columns=["user_id", "_partition", "_offset"])
        assert run.num_rows == 500
        assert run.equals(run.sort_by([(name, "ascending") for name in ("user_id", "_partition", "_offset")]))


def test_row_groups_are_bounded_by_bytes(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(10_000), files=2)
    (path,) = compact_hour(lake, TABLE, TEN, Policy(row_group_bytes=1)).written
    groups = pq.ParquetFile(path.removeprefix("file://")).metadata
    assert groups.num_row_groups == -(-10_000 // rewrite.MIN_GROUP_ROWS)


@pytest.mark.parametrize("change", ["user_id + 1 AS user_id", "lag(user_id) OVER () AS user_id"], ids=str)
def test_a_bit_that_changed_on_the_way_is_never_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(1000), files=4)
    before, files = everything(lake), on_disk(tmp_path)
    real = rewrite._Rewrite._copy

    def copy_wrongly(self: rewrite._Rewrite, source: str, *rest: object) -> None:
        real(self, f"(SELECT * REPLACE ({change}) FROM {source})", *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(rewrite._Rewrite, "_copy", copy_wrongly)
    with pytest.raises(Terminal, match="wrote 1000 that differ in user_id"):
        compact_hour(lake, TABLE, TEN)
    assert everything(lake) == before
    assert on_disk(tmp_path) == files


@pytest.mark.parametrize(
    ("kind", "was", "spoilt"),
    [
        (Scalar.DOUBLE, -0.0, "0.0::DOUBLE AS extra"),
        (Scalar.FLOAT, -0.0, "0.0::FLOAT AS extra"),
        (Array(Scalar.DOUBLE), [1.0, -0.0], "[1.0, 0.0]::DOUBLE[] AS extra"),
    ],
    ids=str,
)
def test_the_sign_of_a_zero_that_was_lost_on_the_way_is_never_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: FieldType, was: object, spoilt: str
) -> None:
    lake, table = lake_with_table(tmp_path, ("extra", kind))
    for number in range(2):
        land(table, range(number, number + 1), values={"extra": [was]})
    real = rewrite._Rewrite._copy

    def copy_wrongly(self: rewrite._Rewrite, source: str, *rest: object) -> None:
        real(self, f"(SELECT * REPLACE ({spoilt}) FROM {source})", *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(rewrite._Rewrite, "_copy", copy_wrongly)
    with pytest.raises(Terminal, match="wrote 2 that differ in extra"):
        compact_hour(lake, TABLE, TEN)


def test_values_that_changed_rows_are_never_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each column holds the same values as before, but beside others."""
    lake, table = lake_with_table(tmp_path)
    land(table, range(970), files=2)
    real = rewrite._Rewrite._copy

    def copy_wrongly(self: rewrite._Rewrite, source: str, *rest: object) -> None:
        turned = "((_offset + 1) % 970) % 97 AS user_id"
        real(self, f"(SELECT * REPLACE ({turned}) FROM {source})", *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(rewrite._Rewrite, "_copy", copy_wrongly)
    with pytest.raises(Terminal, match="which columns stand beside each other"):
        compact_hour(lake, TABLE, TEN)


WIDE_ROWS = 600_000
"""Of some 350 bytes each."""

BOUNDED = Policy(memory_bytes=192 << 20, row_group_bytes=16 << 20)


def wide_table(folder: Path) -> IcebergLake:
    """A table whose sort does not fit into the memory of the tests below."""
    lake, table = lake_with_table(folder, ("text", Scalar.STRING))
    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    for number in range(WIDE_ROWS // 150_000):
        offsets = range(number * 150_000, (number + 1) * 150_000)
        known = {"_topic": "t", "_partition": 1, "_time": TEN}
        columns = [
            pc.binary_repeat(pc.cast(pa.array(offsets), pa.string()), 60)
            if field.name == "text"
            else pa.array(offsets if field.name == "_offset" else [known.get(field.name)] * 150_000, type=field.type)
            for field in schema
        ]
        written = write_files(table, pa.table(columns, schema=schema).to_batches(), TEN, target_bytes=1 << 30)
        table.refresh()
        with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
            for file in written:
                append.append_data_file(file)
    return lake


def test_an_hour_larger_than_the_memory_is_sorted_on_disk(tmp_path: Path) -> None:
    lake = wide_table(tmp_path)
    assert compact_hour(lake, TABLE, TEN, BOUNDED).rows == WIDE_ROWS
    offsets = lake.load(TABLE).scan(selected_fields=("_offset",)).to_arrow()["_offset"].to_pylist()
    assert offsets == list(range(WIDE_ROWS))


def test_a_full_spill_disk_is_named_and_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = wide_table(tmp_path)
    files = on_disk(tmp_path)
    real = engine.bare_session

    def without_room(*arguments: object) -> object:
        session = real(*arguments)  # type: ignore[arg-type]
        session.execute("SET max_temp_directory_size = '1MB'")
        return session

    monkeypatch.setattr(engine, "bare_session", without_room)
    with pytest.raises(Terminal, match="needs more than its memory and") as raised:
        compact_hour(lake, TABLE, TEN, BOUNDED)
    assert "TMPDIR" in raised.value.mend
    assert on_disk(tmp_path) == files


def test_the_spill_of_the_dead_is_removed_and_that_of_the_living_stays(tmp_path: Path) -> None:
    import fcntl

    for name in ("dead", "living"):
        (tmp_path / f"{PREFIX}{name}").mkdir()
        (tmp_path / f"{PREFIX}{name}" / "lock").touch()
    with (tmp_path / f"{PREFIX}living" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_abandoned(tmp_path)
    assert [folder.name for folder in tmp_path.iterdir()] == [f"{PREFIX}living"]
