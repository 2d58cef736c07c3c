"""Reads small files, sorts their rows by identity and writes few large files of the same hour, in bounded memory.

pyiceberg reads (so an older file gets the table's present columns by field id), DuckDB sorts and spills to disk,
pyarrow writes. Nothing is committed here: until a commit names the new files they are orphans.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import (
    ArrowScan,
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    schema_to_pyarrow,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import FileScanTask, Table
from pyiceberg.typedef import Record

from assets.compaction.select import Policy
from keystone_platform.gateways.iceberg_files import hour_ordinal

IDENTITY = ("_topic", "_partition", "_offset")
"""What a row is, and what it is sorted by: equal rows become neighbours, and a consumer reads offsets in order."""

ROW_GROUP_ROWS = 250_000
ROW_GROUP_BYTES = 128 * 1024 * 1024
"""A row group ends at whichever comes first; bytes are Arrow's, before compression."""

BATCH_ROWS = 8192


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


def rewrite(table: Table, inputs: Sequence[DataFile], hour: datetime | None, policy: Policy) -> Rewritten:
    """Write the rows of `inputs`, sorted by identity, into new files of about `policy.target_bytes`.

    Blocks for minutes with gigabytes. Holds one input file, one row group and `policy.memory_bytes` in memory, the
    rest of the sort on disk. When it fails it deletes what it wrote.
    """
    with tempfile.TemporaryDirectory(prefix="keystone-compaction-") as spill, closing(duckdb.connect()) as session:
        session.execute("SET timezone = 'UTC'")
        session.execute("SET memory_limit = ?", [f"{policy.memory_bytes}B"])
        session.execute("SET temp_directory = ?", [spill])
        session.register("rows", _reader(table, inputs))
        order = ", ".join(f'"{column}"' for column in IDENTITY)
        # the text holds our own column names only
        batches = session.execute(f"SELECT * FROM rows ORDER BY {order}").to_arrow_reader(BATCH_ROWS)
        counter = DuplicateCounter()
        files = write_files(table, counter.watch(batches), hour, policy.target_bytes)
    return Rewritten(files, sum(file.record_count for file in files), counter.duplicates)


def write_files(
    table: Table, batches: Iterable[pa.RecordBatch], hour: datetime | None, target_bytes: int
) -> tuple[DataFile, ...]:
    """Write batches that have the table's columns, all rows of one hour, into files of about `target_bytes`.

    When it fails it deletes what it wrote, as far as the object store lets it.
    """
    written: list[DataFile] = []
    current: _OpenFile | None = None
    try:
        for group in _row_groups(batches, schema_to_pyarrow(table.schema())):
            current = current or _OpenFile(table, hour)
            current.write(group)
            if current.bytes >= target_bytes:
                written.append(current.close())
                current = None
        if current:
            written.append(current.close())
    except BaseException:
        if current:
            current.abandon()
        for file in written:
            table.io.delete(file.file_path)
        raise
    return tuple(written)


class DuplicateCounter:
    """Counts rows that have the identity of the row before, in batches sorted by identity."""

    def __init__(self) -> None:
        self.duplicates = 0
        self._last: pa.RecordBatch | None = None

    def watch(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the batches on, counting."""
        for batch in batches:
            if batch.num_rows:
                self._count(batch.select(list(IDENTITY)))
            yield batch

    def _count(self, identity: pa.RecordBatch) -> None:
        table = pa.Table.from_batches([identity] if self._last is None else [self._last, identity])
        equal = None
        for name in IDENTITY:
            column = table.column(name).combine_chunks()
            same = pc.equal(column[1:], column[:-1])
            equal = same if equal is None else pc.and_(equal, same)
        self.duplicates += pc.sum(equal).as_py() or 0
        self._last = identity.slice(identity.num_rows - 1)


class _OpenFile:
    """A data file that is being written, at a path with the table's hashed prefix."""

    def __init__(self, table: Table, hour: datetime | None) -> None:
        self._table = table
        self._partition = Record(None if hour is None else hour_ordinal(hour))
        folder = table.spec().partition_to_path(self._partition, table.schema())
        self.path = table.location_provider().new_data_location(f"{folder}/compacted-{uuid.uuid4()}.parquet")
        self._sink = table.io.new_output(self.path).create()
        level = table.properties.get("write.parquet.compression-level")
        self._writer = pq.ParquetWriter(
            self._sink,
            schema=schema_to_pyarrow(table.schema()),
            compression=table.properties.get("write.parquet.compression-codec", "zstd"),
            compression_level=int(level) if level else None,
        )

    @property
    def bytes(self) -> int:
        return int(self._sink.tell())

    def write(self, group: pa.Table) -> None:
        self._writer.write_table(group, row_group_size=group.num_rows)

    def close(self) -> DataFile:
        self._writer.close()
        size = self.bytes
        self._sink.close()
        schema = self._table.schema()
        statistics = data_file_statistics_from_parquet_metadata(
            parquet_metadata=self._writer.writer.metadata,
            stats_columns=compute_statistics_plan(schema, self._table.properties),
            parquet_column_mapping=parquet_path_to_id_mapping(schema),
        )
        return DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=self.path,
            file_format=FileFormat.PARQUET,
            partition=self._partition,
            file_size_in_bytes=size,
            spec_id=self._table.spec().spec_id,
            sort_order_id=None,
            equality_ids=None,
            key_metadata=None,
            **statistics.to_serialized_dict(),
        )

    def abandon(self) -> None:
        self._writer.close()
        self._sink.close()
        self._table.io.delete(self.path)


def _reader(table: Table, inputs: Sequence[DataFile]) -> pa.RecordBatchReader:
    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    scan = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue())

    def batches() -> Iterator[pa.RecordBatch]:
        for file in inputs:  # one after the other: the scan keeps whole files in memory
            for batch in scan.to_record_batches([FileScanTask(file)]):
                yield from pa.Table.from_batches([batch]).cast(schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    pending: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        pending.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
            yield pa.Table.from_batches(pending).cast(schema)
            pending, rows, size = [], 0, 0
    if rows:
        yield pa.Table.from_batches(pending).cast(schema)
