"""Which rows of a table belong to a scope, by their identity and time: four columns of the files that may hold some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile, ManifestFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import LongType

from keystone_platform.gateways.iceberg_files import data_manifests, hour_of, live_entries
from keystone_platform.plan.backfill import Scope, Span, TimeRange, hours_of

TOPIC, PARTITION, OFFSET, TIME = "_topic", "_partition", "_offset", "_time"
COLUMNS = [TOPIC, PARTITION, OFFSET, TIME]


@dataclass(frozen=True)
class Share:
    """A data file that holds rows of the scope.

    Attributes:
        rows: how many of its rows belong to it; at least one.
    """

    file: DataFile
    rows: int

    @property
    def is_whole(self) -> bool:
        """Whether all of its rows do."""
        return self.rows == self.file.record_count


class Survey:
    """Finds the scope's rows in a table, again and again; what never changes, manifests and files, is read once."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._files: dict[str, tuple[DataFile, ...]] = {}
        self._rows: dict[str, int] = {}

    def shares(self, table: Table) -> tuple[Share, ...]:
        """Return the files of the table, as it is loaded, that hold rows of the scope.

        Blocks for the manifests that were not read before, and for four columns of each new file that may hold rows.
        """
        found = []
        for manifest in data_manifests(table, hours_of(self._scope) or None):
            for file in self._candidates(table, manifest):
                if file.file_path not in self._rows:
                    masks = (in_scope(batch, self._scope) for batch in identities(table, file))
                    self._rows[file.file_path] = sum(pc.sum(mask).as_py() or 0 for mask in masks)
                if rows := self._rows[file.file_path]:
                    found.append(Share(file, rows))
        return tuple(found)

    def _candidates(self, table: Table, manifest: ManifestFile) -> tuple[DataFile, ...]:
        if manifest.manifest_path not in self._files:
            entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
            self._files[manifest.manifest_path] = tuple(
                entry.data_file for entry in entries if self._may_hold(entry.data_file, table.schema())
            )
        return self._files[manifest.manifest_path]

    def _may_hold(self, file: DataFile, schema: Schema) -> bool:
        if not self._scope.touches_hour(hour_of(file)):
            return False
        bounds = _offsets(file, schema)
        return bounds is None or any(span.begin <= bounds[1] and bounds[0] < span.end for span in self._scope.spans)


def landed(table: Table, times: Sequence[TimeRange]) -> Mapping[tuple[str, int], Span]:
    """Return by topic and partition the span of offsets that the table's rows of these times have."""
    of_times = Scope(times=tuple(times))
    found: dict[tuple[str, int], Span] = {}
    for entry in live_entries(table, hours_of(of_times) or None):
        if not of_times.touches_hour(hour_of(entry.data_file)):
            continue
        for batch in identities(table, entry.data_file):
            for span in _spans(batch.filter(_in_times(batch, of_times))):
                before = found.get((span.topic, span.partition), span)
                both = {"begin": min(before.begin, span.begin), "end": max(before.end, span.end)}
                found[span.topic, span.partition] = span.model_copy(update=both)
    return found


def identities(table: Table, file: DataFile) -> Iterator[pa.RecordBatch]:
    """Yield the COLUMNS of a data file, batch by batch."""
    with table.io.new_input(file.file_path).open() as opened:
        yield from pq.ParquetFile(opened).iter_batches(columns=COLUMNS)


def in_scope(rows: pa.RecordBatch, scope: Scope) -> pa.BooleanArray:
    """Return of each row whether it belongs to the scope."""
    topics, partitions, offsets = (rows.column(name) for name in (TOPIC, PARTITION, OFFSET))
    present = set(pc.unique(partitions).to_pylist())
    mask = pa.array([False] * rows.num_rows, pa.bool_())
    for span in scope.spans:
        if span.partition not in present:
            continue
        place = pc.and_(pc.equal(topics, span.topic), pc.equal(partitions, span.partition))
        reach = pc.and_(pc.greater_equal(offsets, span.begin), pc.less(offsets, span.end))
        mask = pc.or_(mask, pc.fill_null(pc.and_(place, reach), False))
    return pc.and_(mask, _in_times(rows, scope))


def _in_times(rows: pa.RecordBatch, scope: Scope) -> pa.BooleanArray:
    if not scope.times:
        return pa.array([True] * rows.num_rows, pa.bool_())
    time = rows.column(TIME)
    mask = pa.array([False] * rows.num_rows, pa.bool_())
    for each in scope.times:
        start, end = (pa.scalar(moment, type=time.type) for moment in (each.start, each.end))
        mask = pc.or_(mask, pc.and_(pc.greater_equal(time, start), pc.less(time, end)))
    return pc.fill_null(mask, False)


def _spans(rows: pa.RecordBatch) -> Iterator[Span]:
    grouped = pa.Table.from_batches([rows]).group_by([TOPIC, PARTITION])
    for row in grouped.aggregate([(OFFSET, "min"), (OFFSET, "max")]).to_pylist():
        first, last = row[f"{OFFSET}_min"], row[f"{OFFSET}_max"]
        yield Span(topic=row[TOPIC], partition=row[PARTITION], begin=first, end=last + 1)


def _offsets(file: DataFile, schema: Schema) -> tuple[int, int] | None:
    number = schema.find_field(OFFSET).field_id
    low, high = (file.lower_bounds or {}).get(number), (file.upper_bounds or {}).get(number)
    if low is None or high is None:
        return None
    return int(from_bytes(LongType(), low)), int(from_bytes(LongType(), high))
