"""Which data files a table names and the object store does not have: what no proof can read."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import duckdb
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from keystone_platform.gateways.iceberg_files import live_entries

AT_ONCE = 16
"""Requests to the object store."""


def may_be_missing(error: duckdb.Error) -> bool:
    """Whether DuckDB failed because a file is not there, rather than the object store."""
    if isinstance(error, duckdb.HTTPException):
        return int(getattr(error, "status_code", 0) or 0) == 404
    return isinstance(error, duckdb.IOException)


def missing_files(table: Table, hour: datetime) -> tuple[str, ...]:
    """Return each file that is gone, with what it held; the hour's, or if all of these are there any other hour's.

    Blocks for a request a file.
    """
    own = [entry.data_file for entry in live_entries(table, {hour})]
    return _missing(table, own) or _missing(table, (entry.data_file for entry in live_entries(table)))


def _missing(table: Table, files: Iterable[DataFile]) -> tuple[str, ...]:
    def told(file: DataFile) -> str | None:
        is_there = table.io.new_input(file.file_path).exists()
        return None if is_there else f"{file.file_path}, {file.record_count:,} rows, is not in the object store"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return tuple(filter(None, pool.map(told, files)))
