"""Tables of small files for `make bench-warehouse`, on this machine's disk; DuckDB makes the data files.

An hour of wide events: sixteen columns, some 330 bytes a row before compression and 93 after, most of that ids that
nothing compresses.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from assets.compaction.columns import field_ids
from assets.compaction.data_file import described
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.spec.types import FieldType, Scalar
from tests.contract.lake_tables import TEN, local_settings, warehouse_plan

COLUMNS: tuple[tuple[str, FieldType], ...] = (
    ("user_id", Scalar.BIGINT),
    ("country", Scalar.STRING),
    ("device", Scalar.STRING),
    ("duration_ms", Scalar.BIGINT),
    ("session_id", Scalar.STRING),
    ("url", Scalar.STRING),
    ("title", Scalar.STRING),
    ("score", Scalar.DOUBLE),
    ("trace", Scalar.STRING),
)

ROWS_PER_FILE = 60_000
"""5.8 MB: what a router's subtask commits of such events in some seconds."""

_EVENTS = """
SELECT uuidv7()::VARCHAR AS _guid,
  timestamptz '2026-11-01 10:00:00+00'
    + to_microseconds(((${file} * ${rows} + r) * 3600000000 // (${files} * ${rows}))::BIGINT) AS _time,
  'host-' || (hash(r) % 50) AS _host,
  'app-' || (hash(r) % 5) AS _app,
  'playback' AS _topic,
  (r % 3)::INTEGER AS _partition,
  (${file} * ${rows} // 3 + r // 3)::BIGINT AS _offset,
  (hash(r, ${file}) % 1000000)::BIGINT AS user_id,
  ['US', 'BR', 'DE', 'FR', 'IN', 'JP'][1 + (hash(r, ${file}, 1) % 6)::INTEGER] AS country,
  'device ' || (hash(r, ${file}, 2) % 300) AS device,
  (hash(r, ${file}, 3) % 100000)::BIGINT AS duration_ms,
  md5((r * (${file} + 1))::VARCHAR) AS session_id,
  'https://cdn.example.com/v/' || (hash(r, ${file}, 4) % 100000) || '/segment/' || (hash(r, ${file}, 5) % 5000) AS url,
  'title number ' || (hash(r, ${file}, 6) % 20000) || ' of the catalogue' AS title,
  random() AS score,
  md5(random()::VARCHAR) || md5(random()::VARCHAR) AS trace
FROM range(${rows}) t(r)
"""


def new_table(folder: Path, name: str) -> tuple[IcebergLake, Table]:
    """Create the table in a warehouse below the folder; COLUMNS beside Keystone's own."""
    folder.mkdir(parents=True, exist_ok=True)
    lake = IcebergLake(local_settings(folder))
    lake.ensure_table(warehouse_plan(*COLUMNS, table=name))
    return lake, lake.load(name)


def small_files(table: Table, folder: Path, files: int, rows: int = ROWS_PER_FILE) -> list[Path]:
    """Write that many files of one hour as a router does: zstd level 1, in the order of the offsets."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ", ".join(f'"{field.name}"' for field in table.schema().fields)
    made = []
    with duckdb.connect() as session:
        session.execute("SET timezone = 'UTC'")
        for number in range(files):
            path = folder / f"{number:05d}.parquet"
            events = _EVENTS
            for name, value in {"${file}": number, "${files}": files, "${rows}": rows}.items():
                events = events.replace(name, str(value))
            session.execute(
                f"COPY (SELECT {names} FROM ({events})) TO '{path}' (FORMAT parquet, COMPRESSION zstd, "
                f"COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 1, FIELD_IDS {field_ids(table.schema())})"
            )
            made.append(path)
    return made


def copies(made: Sequence[Path], until_bytes: int) -> list[Path]:
    """Copy the files again and again until they are so many bytes together; the rows repeat."""
    found, size, turn = list(made), sum(path.stat().st_size for path in made), 0
    while size < until_bytes:
        turn += 1
        for path in made:
            copy = path.with_name(f"{path.stem}-{turn}.parquet")
            shutil.copyfile(path, copy)
            found.append(copy)
            size += copy.stat().st_size
            if size >= until_bytes:
                break
    return found


def add(
    table: Table,
    paths: Sequence[Path],
    hour: datetime = TEN,
    per_commit: int = 1_000_000,
    place: Callable[[Path], str] | None = None,
) -> None:
    """Append the files to the table, so many in a commit, from where they are or from where `place` puts them."""
    found = [data_file(table, path, hour, place(path) if place else None) for path in paths]
    for start in range(0, len(found), per_commit):
        table.refresh()
        with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
            for file in found[start : start + per_commit]:
                append.append_data_file(file)
    table.refresh()


def data_file(table: Table, path: Path, hour: datetime, uri: str | None = None) -> DataFile:
    """Return the file as a commit takes it."""
    return described(table, uri or f"file://{path}", path.stat().st_size, pq.read_metadata(path), hour)
