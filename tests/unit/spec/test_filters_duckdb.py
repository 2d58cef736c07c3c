"""What DuckDB makes of rendered filters, nulls and odd values included. tests/contract has Flink on the same cases."""

from __future__ import annotations

import json
from collections.abc import Iterator

import duckdb
import pytest

from keystone_platform.spec.filters import duckdb_sql, parse_filter
from tests.contract.engines import duckdb_session
from tests.unit.spec.filter_cases import FILTERS, ROWS, SCHEMA


@pytest.fixture(scope="module")
def session() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb_session(SCHEMA, [json.dumps(row) for row in ROWS]) as session:
        yield session


@pytest.mark.parametrize(("text", "kept"), FILTERS.items())
def test_a_filter_keeps_the_rows_that_it_says(session: duckdb.DuckDBPyConnection, text: str, kept: list[int]) -> None:
    condition = duckdb_sql(parse_filter(text, SCHEMA))
    found = session.execute(f"SELECT id FROM events AS device WHERE {condition} ORDER BY id").fetchall()
    assert [row[0] for row in found] == kept
