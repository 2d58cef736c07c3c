"""What DuckDB makes of rendered filters, nulls and odd values included. tests/contract has Flink on the same cases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from keystone_platform.spec.filters import duckdb_sql, parse_filter
from keystone_platform.spec.types import FieldType, Scalar, Struct
from tests.unit.spec.filter_cases import FILTERS, ROWS, SCHEMA

_TYPES = {Scalar.STRING: "VARCHAR", Scalar.TIMESTAMP: "TIMESTAMPTZ"}


def duckdb_type(type_: FieldType) -> str:
    if isinstance(type_, Struct):
        inner = ", ".join(f'"{each.name}" {duckdb_type(each.type)}' for each in type_.fields)
        return f"STRUCT({inner})"
    return _TYPES.get(type_, type_.upper())


def completed(value: Any, type_: FieldType) -> Any:
    """Add what an object leaves out, as null."""
    if not isinstance(type_, Struct) or value is None:
        return value
    return {each.name: completed(value.get(each.name), each.type) for each in type_.fields}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'America/New_York'")  # no result may depend on it
        columns = ", ".join(f'"{field.name}" {duckdb_type(field.type)}' for field in SCHEMA.fields)
        connection.execute(f"CREATE TABLE events (id INT, {columns})")
        marks = ", ".join("?" for _ in SCHEMA.fields)
        for number, row in enumerate(ROWS):
            values = [completed(row.get(field.name), field.type) for field in SCHEMA.fields]
            connection.execute(f"INSERT INTO events VALUES ({number}, {marks})", values)
        yield connection


@pytest.mark.parametrize(("text", "kept"), FILTERS.items())
def test_a_filter_keeps_the_rows_that_it_says(
    connection: duckdb.DuckDBPyConnection, text: str, kept: list[int]
) -> None:
    condition = duckdb_sql(parse_filter(text, SCHEMA))
    found = connection.execute(f"SELECT id FROM events AS device WHERE {condition} ORDER BY id").fetchall()
    assert [row[0] for row in found] == kept
