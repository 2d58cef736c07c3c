"""Counting by identity on real Parquet files, against what was put there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyiceberg.table import Table

from assets.compaction.rewrite import write_files
from assets.proof import identities
from assets.proof.declared import schema_differences
from assets.proof.elsewhere import without_rows_elsewhere
from assets.proof.identities import Found, count_around, count_identities
from keystone_platform.gateways.iceberg_files import live_entries
from keystone_platform.plan.hour_proof import Span
from keystone_platform.query.session import bare_session
from keystone_platform.spec.types import Scalar
from tests.contract.lake_tables import ELEVEN, TEN, lake_with_table, land, local_settings, rows, warehouse_plan

SPANS = [Span(topic="playback", partition=part, begin=100, end=200) for part in (0, 1)]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return lake_with_table(tmp_path)[1]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    session = bare_session(local_settings(tmp_path).s3)
    yield session
    session.close()


def files(table: Table) -> list[str]:
    table.refresh()
    return [entry.data_file.file_path for entry in live_entries(table, {TEN})]


def counted(session: duckdb.DuckDBPyConnection, table: Table, spans: list[Span], *, gaps: bool = True) -> Found:
    return count_identities(session, files(table), spans, gaps=gaps)


def gaps_in(found: Found) -> dict[int, list[tuple[int, int]]]:
    return {each.partition: [(block.begin, block.end) for block in each.blocks()] for each in found.gaps}


@pytest.mark.parametrize("pass_bytes", [identities.PASS_BYTES, 64])
def test_duplicates_and_gaps_are_exact_whatever_fits_in_one_pass(
    table: Table, session: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, pass_bytes: int
) -> None:
    monkeypatch.setattr(identities, "PASS_BYTES", pass_bytes)
    land(table, range(100, 160), files=3)
    land(table, range(150, 199))
    land(table, range(102, 200), partition=1)
    found = counted(session, table, SPANS)
    assert (found.rows, found.duplicates) == (207, 10)
    assert gaps_in(found) == {0: [(199, 200)], 1: [(100, 102)]}
    assert gaps_in(counted(session, table, SPANS, gaps=False)) == {}


def test_rows_around_the_segment_are_counted_and_their_duplicates_too(
    table: Table, session: duckdb.DuckDBPyConnection
) -> None:
    for _ in range(2):
        land(table, range(100, 200))
        land(table, [10, 10**12])  # type: ignore[arg-type] # any offsets
    found = counted(session, table, SPANS[:1])
    assert (found.rows, found.duplicates) == (204, 102)
    assert count_around(session, files(table), SPANS[:1]) == (2, 2)


def test_before_what_kafka_keeps_gaps_begin_with_the_first_row(
    table: Table, session: duckdb.DuckDBPyConnection
) -> None:
    land(table, range(60, 70))
    land(table, range(75, 200))
    expired = SPANS[0].model_copy(update={"expired": True})
    assert gaps_in(counted(session, table, [expired])) == {0: [(70, 75)]}
    assert gaps_in(counted(session, table, SPANS[:1])) == {}


def test_rows_of_other_topics_and_without_identity_are_strangers(
    table: Table, session: duckdb.DuckDBPyConnection
) -> None:
    land(table, range(100, 200))
    batch = rows(table, range(3))
    for topic in ("other", None):
        at = batch.schema.get_field_index("_topic")
        strange = batch.set_column(at, "_topic", pa.array([topic] * 3, batch.schema.field(at).type))
        with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
            for file in write_files(table, strange.to_batches(), TEN, 1 << 30):
                append.append_data_file(file)
        table.refresh()
    found = counted(session, table, SPANS[:1])
    assert (found.rows, found.duplicates, found.strangers(["playback"])) == (106, 0, 6)
    assert gaps_in(found) == {}


def test_an_hour_without_files_is_one_gap(table: Table, session: duckdb.DuckDBPyConnection) -> None:
    land(table, range(100, 110), hour=ELEVEN)
    found = counted(session, table, SPANS)
    assert (found.rows, gaps_in(found)) == (0, {0: [(100, 200)], 1: [(100, 200)]})


def test_rows_of_the_segment_are_found_in_other_hours_and_without_a_time(
    table: Table, session: duckdb.DuckDBPyConnection
) -> None:
    land(table, range(100, 150))
    land(table, range(150, 160), hour=ELEVEN)
    land(table, range(160, 170), hour=None)
    land(table, range(180, 190), hour=ELEVEN, partition=1)
    gaps = counted(session, table, SPANS).gaps
    left = without_rows_elsewhere(session, table.metadata_location, TEN, gaps)
    assert gaps_in(Found(gaps=left)) == {0: [(170, 200)], 1: [(100, 180), (190, 200)]}


def test_each_difference_of_a_schema_is_named(tmp_path: Path, table: Table) -> None:
    plan = warehouse_plan(("user_id", Scalar.STRING), ("added", Scalar.INT))
    with table.transaction() as transaction:
        transaction.remove_properties("write.object-storage.enabled")
    assert schema_differences(table, warehouse_plan()) == (
        "the table's property write.object-storage.enabled is missing",
    )
    assert schema_differences(table, plan) == (
        "column added is missing",
        "column user_id is long, wanted string",
        "the table's property write.object-storage.enabled is missing",
    )
