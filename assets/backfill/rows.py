"""Which rows of a table a backfill replaces, by their identity and time: four columns of the files that may hold some.

Those of its scope; and where its source may lack events, only those whose event the source holds.
"""

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

from assets.backfill.held import Held
from keystone_platform.gateways.iceberg_files import data_manifests, hour_of, live_entries
from keystone_platform.plan.backfill import Scope, Span, TimeRange, hours_of

TOPIC, PARTITION, OFFSET, TIME = "_topic", "_partition", "_offset", "_time"
COLUMNS = [TOPIC, PARTITION, OFFSET, TIME]


@dataclass(frozen=True)
class Share:
    """A data file that holds rows to be replaced.

    Attributes:
        rows: how many of its rows are; at least one.
    """

    file: DataFile
    rows: int

    @property
    def is_whole(self) -> bool:
        """Whether all of its rows are."""
        return self.rows == self.file.record_count


class Survey:
    """Finds the rows to replace in a table, again and again; what never changes, manifests and files, is read once."""

    def __init__(self, scope: Scope, held: Held | None = None) -> None:
        self._scope = scope
        self._held = held
        self._files: dict[str, tuple[DataFile, ...]] = {}
        self._rows: dict[str, tuple[int, int]] = {}

    def shares(self, table: Table) -> tuple[Share, ...]:
        """Return the files of the table, as it is loaded, that hold rows to be replaced.

        Blocks for the manifests that were not read before, and for four columns of each new file that may hold rows.
        """
        counted = ((file, self._counts(table, file)[1]) for file in self._present(table))
        return tuple(Share(file, rows) for file, rows in counted if rows)

    def kept(self, table: Table) -> int:
        """Return how many rows of the scope stay, since the source does not hold their events; blocks as `shares`."""
        counts = (self._counts(table, file) for file in self._present(table))
        return sum(inside - replaced for inside, replaced in counts)

    def mask(self, rows: pa.RecordBatch) -> pa.BooleanArray:
        """Return of each row whether it is to be replaced."""
        return self._of_held(rows, in_scope(rows, self._scope))

    def _of_held(self, rows: pa.RecordBatch, mask: pa.BooleanArray) -> pa.BooleanArray:
        if self._held is None:
            return mask
        return pc.and_(mask, self._held.mask(*(rows.column(name) for name in (TOPIC, PARTITION, OFFSET))))

    def _present(self, table: Table) -> Iterator[DataFile]:
        for manifest in data_manifests(table, hours_of(self._scope) or None):
            yield from self._candidates(table, manifest)

    def _counts(self, table: Table, file: DataFile) -> tuple[int, int]:
        """Return how many rows of the file are in the scope, and how many of these are to be replaced."""
        if file.file_path not in self._rows:
            inside = replaced = 0
            for batch in identities(table, file):
                mask = in_scope(batch, self._scope)
                inside += pc.sum(mask).as_py() or 0
                replaced += pc.sum(self._of_held(batch, mask)).as_py() or 0
            self._rows[file.file_path] = inside, replaced
        return self._rows[file.file_path]

    def _candidates(self, table: Table, manifest: ManifestFile) -> tuple[DataFile, ...]:
        if manifest.manifest_path not in self._files:
            entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
            self._files[manifest.manifest_path] = tuple(
                entry.data_file for entry in entries if may_hold(entry.data_file, self._scope, table.schema())
            )
        return self._files[manifest.manifest_path]


def may_hold(file: DataFile, scope: Scope, schema: Schema) -> bool:
    """Whether a data file may have rows of the scope, by its hour and its bounds."""
    if not scope.touches_hour(hour_of(file)):
        return False
    bounds = _offsets(file, schema)
    return bounds is None or any(span.begin <= bounds[1] and bounds[0] < span.end for span in scope.spans)


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
    yield from batches(table, file, COLUMNS)


def batches(table: Table, file: DataFile, columns: Sequence[str], size: int = 65_536) -> Iterator[pa.RecordBatch]:
    """Yield columns of Keystone's own of a data file, `size` rows at a time."""
    with table.io.new_input(file.file_path).open() as opened:
        yield from pq.ParquetFile(opened).iter_batches(batch_size=size, columns=list(columns))


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
