"""Reads small files, sorts their rows and writes them into one file of the same hour, in bounded memory.

DuckDB does all three, so no row passes through Python. It sorts as much at once as fits into the memory, a run; a file
of several runs has one after the other. What was written is read back and compared with what was read
before anybody may commit it. Nothing is committed here: until a commit names the new file it is an orphan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import duckdb
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from assets.compaction.arrow_files import write_files as write_files  # of those who have rows, not files
from assets.compaction.columns import IDENTITY, column_list, field_ids, literal, order_by, quoted
from assets.compaction.content import compare, dictionaries_keep, readable
from assets.compaction.data_file import described, new_path
from assets.compaction.engine import rewrite_session, room_for
from assets.compaction.join import join
from assets.compaction.select import InputFile, Policy, choose_runs
from assets.compaction.spill import spill_folder

MIN_GROUP_ROWS = 2_048
USUAL_GROUP_ROWS = 122_880
"""DuckDB's own: with more rows of some hundred bytes, sorting and writing take a fifth more CPU."""
MAX_GROUP_ROWS = 1_000_000
VECTOR = 2_048
"""DuckDB's row groups are whole vectors."""

NARROW = 4
"""Row groups of narrow rows grow up to this part of the largest."""

HEADER_BYTES = 16
"""Of each value in DuckDB's rows, beside a text's own bytes."""

COMPRESSION_LEVEL = 1
"""Of zstd. Level 3, DuckDB's own, takes a quarter more CPU and made files that were 2.5 % larger (docs/measured.md)."""

DICTIONARY_BYTES = 1024 * 1024
DICTIONARY_VALUES = 5_000
"""A column whose dictionary would be larger is written plain: every reader holds a dictionary in memory, and with
DuckDB's own bound, a fifth of a row group's rows, writing takes 4 % more CPU for 1 % smaller files."""

Reached = Callable[[str], None]
"""Told the name of each point of POINTS that a rewrite passes."""

POINTS = ("before reading", "in the middle of the sort", "file written", "file checked")
"""Where a rewrite may be cut off; compact.CRASH_POINTS goes on from here."""


@dataclass(frozen=True)
class Rewritten:
    """What a rewrite wrote.

    Attributes:
        files: as Iceberg takes them in a commit.
        rows: rows in them.
        duplicates: rows whose identity the row before has as well; they are kept, compaction changes no row.
    """

    files: tuple[DataFile, ...]
    rows: int
    duplicates: int


@dataclass(frozen=True)
class Workshop:
    """Where rewrites of a table happen, one after the other.

    Attributes:
        spill: folder for what does not fit into memory.
        group_rows: rows of a row group.
        run_bytes: compressed input of one sort.
    """

    session: duckdb.DuckDBPyConnection
    spill: Path
    group_rows: int
    run_bytes: int


@contextmanager
def workshop(table: Table, inputs: Sequence[DataFile], policy: Policy) -> Iterator[Workshop]:
    """Yield what rewrites of these files need: `policy.memory_bytes` of memory, and a folder for the rest of a sort."""
    row_bytes = _row_bytes(table, inputs)
    room = room_for(row_bytes, policy.memory_bytes)
    with spill_folder() as spill, rewrite_session(table, room, spill) as session:
        yield Workshop(session, spill, _group_rows(row_bytes, policy.row_group_bytes), policy.run_bytes)


def rewrite(
    table: Table,
    inputs: Sequence[DataFile],
    hour: datetime | None,
    shop: Workshop,
    sort_by: Sequence[str] = (),
    reached: Reached = lambda _: None,
) -> Rewritten:
    """Write the rows of `inputs`, each run sorted by `sort_by` and then by identity, into one new file.

    Blocks for seconds to minutes. When it fails, or is interrupted, it deletes what it wrote.

    Raises:
        Terminal: the new file does not hold the same bits in every column; no room to sort; a file can't be read.
        Transient: the object store does not answer.
    """
    path = new_path(table, hour)
    reached(POINTS[0])
    try:
        with TemporaryDirectory(dir=shop.spill) as folder:
            return _Rewrite(table, hour, shop, Path(folder), reached).run(inputs, path, sort_by)
    except BaseException:
        with suppress(FileNotFoundError):
            table.io.delete(path)
        raise


@dataclass(frozen=True)
class _Style:
    """How each run is written: the order of its rows, and COPY's options."""

    order: str
    options: str


class _Rewrite:
    """One rewrite, with a folder of its own."""

    def __init__(self, table: Table, hour: datetime | None, shop: Workshop, folder: Path, reached: Reached) -> None:
        self._table = table
        self._hour = hour
        self._session = shop.session
        self._shop = shop
        self._folder = folder
        self._reached = reached

    def run(self, inputs: Sequence[DataFile], path: str, sort_by: Sequence[str]) -> Rewritten:
        source = readable(self._table, inputs, self._folder / "before")
        style = self._style(source, sort_by)
        self._reached(POINTS[1])
        self._write(inputs, path, style)
        self._reached(POINTS[2])
        opened = self._table.io.new_input(path)
        with opened.open() as stream:
            footer = pq.read_metadata(stream)
        written = described(self._table, path, len(opened), footer, self._hour)
        target = readable(self._table, [written], self._folder / "after")
        compare(self._session, self._table.schema(), source, target)
        duplicates = self._duplicates(target)
        self._reached(POINTS[3])
        return Rewritten((written,), written.record_count, duplicates)

    def _write(self, inputs: Sequence[DataFile], path: str, style: _Style) -> None:
        files = {file.file_path: file for file in inputs}
        sizes = [InputFile(file.file_path, file.file_size_in_bytes) for file in inputs]
        runs = [[files[file.path] for file in run] for run in choose_runs(sizes, self._shop.run_bytes)]
        if len(runs) == 1:
            self._copy(readable(self._table, inputs, self._folder / "run"), path, style)
            return
        parts = [self._folder / f"{number}.parquet" for number in range(len(runs))]
        for part, run in zip(parts, runs, strict=True):
            self._copy(readable(self._table, run, part.with_suffix("")), str(part), style)
        with self._table.io.new_output(path).create() as output:
            join(parts, output)

    def _style(self, source: str, sort_by: Sequence[str]) -> _Style:
        schema = self._table.schema()
        dictionaries = dictionaries_keep(self._session, schema.fields, source)
        codec = self._table.properties.get("write.parquet.compression-codec", "zstd")
        level = f", COMPRESSION_LEVEL {COMPRESSION_LEVEL}" if codec == "zstd" else ""
        return _Style(
            order_by(schema, sort_by, self._constant(source)),
            f"FORMAT parquet, COMPRESSION {literal(codec)}{level}, ROW_GROUP_SIZE {self._shop.group_rows}, "
            f"DICTIONARY_SIZE_LIMIT {DICTIONARY_VALUES if dictionaries else 0}, "
            f"STRING_DICTIONARY_PAGE_SIZE_LIMIT {DICTIONARY_BYTES}, FIELD_IDS {field_ids(schema)}",
        )

    def _copy(self, source: str, path: str, style: _Style) -> None:
        parts = urlsplit(path)
        if parts.scheme in ("", "file"):  # an object store has no folders
            Path(parts.path).parent.mkdir(parents=True, exist_ok=True)
        columns = column_list(self._table.schema())
        self._session.execute(
            f"COPY (SELECT {columns} FROM {source} ORDER BY {style.order}) TO {literal(path)} ({style.options})"
        )

    def _constant(self, source: str) -> tuple[str, ...]:
        """Return the topic's column if all rows are of one topic, as they are unless dead letters were replayed."""
        topic = quoted(IDENTITY[0])
        statement = f"SELECT min({topic}) = max({topic}) AND count({topic}) = count(*) FROM {source}"
        return (IDENTITY[0],) if self._session.execute(statement).fetchall()[0][0] else ()

    def _duplicates(self, target: str) -> int:
        same = " AND ".join(f"{quoted(name)} = lag({quoted(name)}) OVER ()" for name in IDENTITY)
        statement = f"SELECT count(*) FILTER (same) FROM (SELECT {same} AS same FROM {target})"
        return int(self._session.execute(statement).fetchall()[0][0])


def _group_rows(row_bytes: int, limit: int) -> int:
    """Return the rows of a row group: the usual number, more of narrow rows, fewer of wide ones."""
    usual = max(USUAL_GROUP_ROWS, limit // NARROW // row_bytes)
    return max(MIN_GROUP_ROWS, min(MAX_GROUP_ROWS, usual, limit // row_bytes)) // VECTOR * VECTOR


def _row_bytes(table: Table, inputs: Sequence[DataFile]) -> int:
    """Return the bytes of a row in memory, as the footer of the largest input tells them."""
    largest = max(inputs, key=lambda file: file.file_size_in_bytes)
    with table.io.new_input(largest.file_path).open() as stream:
        footer = pq.read_metadata(stream)
    size = sum(footer.row_group(number).total_byte_size for number in range(footer.num_row_groups))
    return int(size // max(footer.num_rows, 1) + HEADER_BYTES * footer.num_columns)
