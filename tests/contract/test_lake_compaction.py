"""Compaction on real tables: no row comes, goes or changes, whatever happens in between."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import DataFile
from pyiceberg.table import CommitTableResponse, Table

from assets.compaction import compact
from assets.compaction.commit import replace_files
from assets.compaction.compact import compact_hour, compact_table
from assets.compaction.rewrite import rewrite, write_files
from assets.compaction.select import Policy
from keystone_platform.errors import Conflict, Terminal, Transient, UnknownOutcome
from keystone_platform.gateways.iceberg_files import live_entries
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.session import open_session
from keystone_platform.spec.types import Field, Scalar, Struct
from tests.contract.lake_tables import (
    ELEVEN,
    TABLE,
    TEN,
    lake_with_table,
    land,
    local_settings,
    rows,
    warehouse_plan,
)

ORDER = [("_partition", "ascending"), ("_offset", "ascending")]


def files_of(table: Table, hour: datetime = TEN) -> list[DataFile]:
    table.refresh()
    return [entry.data_file for entry in live_entries(table, {hour})]


def on_disk(folder: Path) -> set[str]:
    return {f"file://{path}" for path in (folder / "warehouse").rglob("*.parquet")}


def everything(lake: IcebergLake) -> list[dict[str, object]]:
    return (
        lake.load(TABLE).scan().to_arrow().sort_by([("_partition", "ascending"), ("_offset", "ascending")]).to_pylist()
    )


def test_rows_are_the_same_and_files_are_few(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    for start in range(0, 1000, 100):
        land(table, range(start, start + 100), partition=start // 100 % 3, files=3)
    land(table, range(2000, 2050), hour=ELEVEN)
    before = everything(lake)
    report = compact_hour(lake, TABLE, TEN)
    assert everything(lake) == before
    assert (report.rows, report.files_before, report.files_after, report.duplicates) == (1000, 30, 1, 0)
    assert report.bytes_after < report.bytes_before
    assert [total.files for total in lake.hours(TABLE)] == [1, 1]
    assert compact_hour(lake, TABLE, TEN).snapshot_id is None


def test_a_compacted_file_is_sorted_zstd_and_carries_the_tables_field_ids(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    for partition in (1, 0):
        land(table, range(500), partition=partition, files=2)
    (path,) = compact_hour(lake, TABLE, TEN).written
    file = pq.ParquetFile(path.removeprefix("file://"))
    identity = file.read(["_partition", "_offset"])
    assert identity.equals(identity.sort_by(ORDER))
    assert {file.metadata.row_group(0).column(number).compression for number in range(file.metadata.num_columns)} == {
        "ZSTD"
    }
    ids = {field.name: int(field.metadata[b"PARQUET:field_id"]) for field in file.schema_arrow}
    assert ids == {field.name: field.field_id for field in table.schema().fields}


def test_files_end_at_the_target_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.compaction.arrow_files.ROW_GROUP_ROWS", 200)
    _, table = lake_with_table(tmp_path)
    written = write_files(table, rows(table, range(500)).to_batches(max_chunksize=50), TEN, target_bytes=1)
    assert [file.record_count for file in written] == [200, 200, 100]  # a row group each
    sizes = [Path(file.file_path.removeprefix("file://")).stat().st_size for file in written]
    assert [file.file_size_in_bytes for file in written] == sizes


def test_files_of_before_a_schema_change_are_merged_with_later_ones(tmp_path: Path) -> None:
    device = Struct((Field("os", Scalar.STRING),))
    lake, table = lake_with_table(tmp_path, ("user_id", Scalar.INT), ("device", device))
    land(table, range(10), files=2)
    wider = Struct((Field("model", Scalar.STRING), Field("os", Scalar.STRING)))
    lake.ensure_table(warehouse_plan(("user_id", Scalar.BIGINT), ("device", wider), ("new", Scalar.DOUBLE)))
    land(lake.load(TABLE), range(10, 20), files=2)
    before = everything(lake)
    assert compact_hour(lake, TABLE, TEN).files_after == 1
    assert everything(lake) == before


def test_duplicates_are_counted_and_kept_for_people_to_see(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100), files=2)
    land(table, range(90, 110))
    report = compact_hour(lake, TABLE, TEN)
    assert (report.rows, report.duplicates) == (120, 10)


def test_large_hours_are_compacted_in_groups(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(1000), files=10)
    size = max(file.file_size_in_bytes for file in files_of(table))
    report = compact_hour(lake, TABLE, TEN, Policy(group_bytes=4 * size))
    assert (report.rows, report.files_after) == (1000, 2)
    assert len(everything(lake)) == 1000


def test_every_hour_of_a_table_rows_without_time_included(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    for hour in (TEN, ELEVEN, None):
        land(table, range(30), hour=hour, files=3)
    assert [report.hour for report in compact_table(lake, TABLE)] == [TEN, ELEVEN, None]
    assert [total.files for total in lake.hours(TABLE)] == [1, 1, 1]


def test_rows_that_are_appended_meanwhile_survive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100), files=5)

    def rewrite_slowly(*arguments: object) -> object:
        result = rewrite(*arguments)  # type: ignore[arg-type]
        land(lake.load(TABLE), range(100, 120), files=2)
        return result

    monkeypatch.setattr(compact, "rewrite", rewrite_slowly)
    compact_hour(lake, TABLE, TEN)
    assert [row["_offset"] for row in everything(lake)] == list(range(120))


def test_a_file_that_left_the_table_is_a_conflict_and_no_new_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100), files=5)

    def rewrite_too_late(*arguments: object) -> object:
        result = rewrite(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(compact, "rewrite", rewrite)
        compact_hour(lake, TABLE, TEN)
        return result

    monkeypatch.setattr(compact, "rewrite", rewrite_too_late)
    with pytest.raises(Conflict):
        compact_hour(lake, TABLE, TEN)
    assert [row["_offset"] for row in everything(lake)] == list(range(100))
    assert len(on_disk(tmp_path)) == 6  # five old ones, which older snapshots name, and one that was committed


def test_lost_rows_are_never_committed(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100), files=2)
    old = files_of(table)
    new = write_files(table, rows(table, range(99)).to_batches(), TEN, target_bytes=1 << 30)
    with pytest.raises(Terminal, match="read 100 rows and wrote 99"):
        replace_files(table, old, new, TEN)
    assert len(everything(lake)) == 100


class Answers:
    """Stands in the way of a catalog's commits: each answer says what becomes of one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: Sequence[str]) -> None:
        self.left = list(answers)
        real = SqlCatalog.commit_table

        def commit(catalog: SqlCatalog, *arguments: object) -> CommitTableResponse:
            answer = self.left.pop(0) if self.left else "commit"
            if answer == "refuse":
                raise CommitFailedException("somebody was faster")
            if answer == "lose":
                raise ConnectionError("the connection broke before the commit")
            response = real(catalog, *arguments)  # type: ignore[arg-type]
            if answer == "commit, then break":
                raise ConnectionError("the connection broke after the commit")
            return response

        monkeypatch.setattr(SqlCatalog, "commit_table", commit)


@pytest.mark.parametrize(
    "answers",
    [
        ["commit, then break"],
        ["lose"],
        ["lose", "lose"],
        ["lose", "commit, then break"],
        ["refuse", "commit, then break"],
        ["refuse", "refuse", "lose"],
    ],
    ids=str,
)
def test_a_commit_whose_answer_is_lost_takes_effect_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100), files=5)
    Answers(monkeypatch, answers)
    report = compact_hour(lake, TABLE, TEN)
    assert report.snapshot_id == lake.load(TABLE).metadata.current_snapshot_id
    assert [row["_offset"] for row in everything(lake)] == list(range(100))
    assert files_of(lake.load(TABLE))[0].file_path == report.written[0]


def test_when_nobody_knows_the_outcome_the_new_files_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100), files=5)
    Answers(monkeypatch, ["lose"] * 10)
    with pytest.raises(UnknownOutcome):
        compact_hour(lake, TABLE, TEN)
    assert len(on_disk(tmp_path)) == 6
    monkeypatch.undo()
    assert [row["_offset"] for row in everything(lake)] == list(range(100))
    assert compact_hour(lake, TABLE, TEN).files_after == 1
    assert [row["_offset"] for row in everything(lake)] == list(range(100))


def test_a_crash_leaves_orphans_and_never_a_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    lake, table = lake_with_table(tmp_path)
    land(table, range(100), files=5)
    monkeypatch.setattr(compact, "replace_files", die)
    with pytest.raises(Killed):
        compact_hour(lake, TABLE, TEN)
    monkeypatch.undo()
    assert [row["_offset"] for row in everything(lake)] == list(range(100))
    assert compact_hour(lake, TABLE, TEN).files_after == 1
    assert [row["_offset"] for row in everything(lake)] == list(range(100))


def test_a_failed_rewrite_leaves_nothing_behind(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100), files=5)
    before = on_disk(tmp_path)
    Path(files_of(table)[3].file_path.removeprefix("file://")).write_bytes(b"no parquet")
    with pytest.raises(Exception, match=r"(?i)parquet"):
        compact_hour(lake, TABLE, TEN)
    assert on_disk(tmp_path) == before


@pytest.mark.timeout(120)
def test_readers_see_each_row_once_at_every_moment(tmp_path: Path) -> None:
    """An appender, a compaction and two readers at once; the readers poll through pyiceberg and through DuckDB."""
    settings = local_settings(tmp_path)
    lake, table = lake_with_table(tmp_path)
    land(table, range(1000), files=10)
    landed, in_a_row = 1000, 0
    done = threading.Event()
    problems: list[str] = []
    looks: Counter[str] = Counter()

    def guard(work: object) -> threading.Thread:
        def run() -> None:
            try:
                work()  # type: ignore[operator]
            except BaseException as error:
                problems.append(repr(error))

        return threading.Thread(target=run)

    def check(reader: str, offsets: list[int], least: int) -> None:
        looks[reader] += 1
        if sorted(offsets) != list(range(len(offsets))) or len(offsets) < least:
            problems.append(f"{reader}: {len(offsets)} rows, {len(set(offsets))} distinct, at least {least} expected")

    def append() -> None:
        nonlocal landed, in_a_row
        own = IcebergLake(settings).load(TABLE)
        while not done.wait(0.3):  # a router commits once a second at most
            if in_a_row < 5:  # on a slow machine it would win every race for ever
                land(own, range(landed, landed + 50), files=2)
                landed, in_a_row = landed + 50, in_a_row + 1

    def read_with_pyiceberg() -> None:
        own = IcebergLake(settings)
        while not done.is_set():
            least = landed
            check(
                "pyiceberg", own.load(TABLE).scan(selected_fields=("_offset",)).to_arrow()["_offset"].to_pylist(), least
            )

    def read_with_duckdb() -> None:
        while not done.is_set():
            least = landed
            with open_session(settings) as session:
                found = session.execute(f"SELECT _offset FROM {TABLE}").fetchall()
            check("duckdb", [offset for (offset,) in found], least)

    threads = [guard(append), guard(read_with_pyiceberg), guard(read_with_duckdb)]
    for thread in threads:
        thread.start()
    try:
        reports = []
        while len(reports) < 3 and not problems:
            with suppress(Transient):  # its commit lost every race
                reports += [report for report in [compact_hour(lake, TABLE, TEN)] if report.snapshot_id]
                in_a_row = 0
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert problems == []
    assert min(looks["pyiceberg"], looks["duckdb"]) >= 2
    assert [row["_offset"] for row in everything(lake)] == list(range(landed))
