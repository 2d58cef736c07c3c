"""Writes Arrow batches that are rows of one hour into data files, in bounded memory. Nothing is committed here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from assets.compaction.data_file import described, new_path

ROW_GROUP_ROWS = 250_000
ROW_GROUP_BYTES = 128 * 1024 * 1024
"""A row group ends at whichever comes first; bytes are Arrow's, before compression."""


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


class _OpenFile:
    """A data file that is being written, at a path with the table's hashed prefix."""

    def __init__(self, table: Table, hour: datetime | None) -> None:
        self._table = table
        self._hour = hour
        self.path = new_path(table, hour)
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
        return described(self._table, self.path, size, self._writer.writer.metadata, self._hour)

    def abandon(self) -> None:
        self._writer.close()
        self._sink.close()
        self._table.io.delete(self.path)


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
