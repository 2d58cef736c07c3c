"""Whether files hold the same rows as others, bit by bit and whatever their order: what a rewrite is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import NestedField

from assets.compaction.columns import has_floats, is_float, literal, quoted
from assets.compaction.excerpt import write_excerpt
from keystone_platform.errors import Terminal


@dataclass(frozen=True)
class Content:
    """Count and checksum of rows, whatever their order."""

    rows: int
    checksum: int


def readable(table: Table, files: Sequence[DataFile], folder: Path) -> str:
    """Return what a statement selects from to read these files as the table's columns; makes the folder."""
    folder.mkdir()
    return f"iceberg_scan({literal(write_excerpt(table, files, folder))})"


def compare(session: duckdb.DuckDBPyConnection, schema: Schema, before: str, after: str) -> None:
    """Read both, without holding them, and demand the same rows.

    Raises:
        Terminal: they differ; the columns are named.
    """
    was, is_now = (content(session, schema.fields, each) for each in (before, after))
    if was == is_now:
        return
    wrong = [
        field.name for field in schema.fields if content(session, [field], before) != content(session, [field], after)
    ]
    which = f"in {', '.join(wrong)}" if wrong else "in which columns stand beside each other"
    message = f"compaction read {was.rows} rows and wrote {is_now.rows} that differ {which}: refused"
    raise Terminal(message, mend="The table is as it was. Report this.")


def content(session: duckdb.DuckDBPyConnection, fields: Sequence[NestedField], source: str) -> Content:
    """Return count and checksum of these columns: the sum of a hash of each row."""
    statement = f"SELECT count(*), coalesce(sum(hash({hashed(fields)})), 0) FROM {source}"
    rows, checksum = session.execute(statement).fetchall()[0]
    return Content(int(rows), int(checksum))


def hashed(fields: Sequence[NestedField]) -> str:
    """Return the arguments of the hash: each column, and what DuckDB's hash does not see of it.

    It takes -0.0 for 0.0 and any NaN for another, as comparisons do. So the sign of a number goes in as well; of
    numbers inside lists, maps and rows the text does, which has the sign. The other bits of a NaN are not seen.
    """
    parts = [quoted(field.name) for field in fields]
    for field in fields:
        if is_float(field.field_type):
            parts.append(f"signbit({quoted(field.name)})")
        elif has_floats([field]):
            parts.append(f"{quoted(field.name)}::VARCHAR")
    return ", ".join(parts)


def dictionaries_keep(session: duckdb.DuckDBPyConnection, fields: Sequence[NestedField], source: str) -> bool:
    """Whether DuckDB's Parquet dictionaries would keep these columns' bits; reads the numbers only.

    DuckDB 1.5 takes -0.0 for 0.0 in a dictionary, and any NaN for another: a column of both would come out with one.
    """
    numbers = [quoted(field.name) for field in fields if is_float(field.field_type)]
    if any(has_floats([field]) and not is_float(field.field_type) for field in fields):
        return False
    if not numbers:
        return True
    odd = " OR ".join(f"(signbit({name}) AND ({name} = 0 OR isnan({name})))" for name in numbers)
    return session.execute(f"SELECT 1 FROM {source} WHERE {odd} LIMIT 1").fetchone() is None
