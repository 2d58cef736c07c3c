"""Up to where a table holds the events of its topics, read from the table itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import PrimitiveType

from keystone_platform.gateways.iceberg_files import live_entries
from keystone_platform.plan.recovery import NextOffsets, offsets_of_text

ENDS_PROPERTY = "keystone.landed-ends"
"""Table property: where the topics ended in the table when rows were last dropped for their age, as `positions_text`
writes it. Without it a partition whose rows are all dropped would be read from its beginning again."""

_TOPIC, _PARTITION, _OFFSET = "_topic", "_partition", "_offset"
_COLUMNS = (_TOPIC, _PARTITION, _OFFSET)


def next_offsets(table: Table, topics: Collection[str]) -> NextOffsets:
    """Return the offset after the largest `_offset` of each (`_topic`, `_partition`) that has, or had, rows.

    A router reads each partition in order and commits what it read up to a checkpoint as a whole, so whatever comes
    before the largest offset has been dealt with.

    Blocks for the table's manifests, and for three columns of the data files that may hold a larger offset than those
    read before, newest first: a few, as long as the partitions' offsets are about as large as each other.
    """
    schema = table.schema()
    files = [_Span.of(entry.data_file, schema) for entry in live_entries(table)]
    files.sort(key=lambda span: span.last_offset, reverse=True)
    told = offsets_of_text(table.properties.get(ENDS_PROPERTY, ""))
    ends = {topic: dict(partitions) for topic, partitions in told.items() if topic in topics}
    for span in files:
        if not span.may_hold_more(topics, ends):
            continue
        for topic, partition, last in _largest(table, span.path):
            if topic in topics:
                known = ends.setdefault(topic, {})
                known[partition] = max(known.get(partition, 0), last + 1)
    return ends


_ANY_OFFSET = 1 << 63


@dataclass(frozen=True)
class _Span:
    """What a data file may hold, by its bounds; a bound that is missing bounds nothing."""

    path: str
    last_offset: int
    partitions: range | None
    topics: tuple[str, str] | None

    @classmethod
    def of(cls, file: DataFile, schema: Schema) -> _Span:
        offsets, partitions, topics = (_bounds(file, schema, column) for column in _COLUMNS[::-1])
        return cls(
            path=file.file_path,
            last_offset=int(offsets[1]) if offsets else _ANY_OFFSET,
            partitions=range(int(partitions[0]), int(partitions[1]) + 1) if partitions else None,
            topics=(str(topics[0]), str(topics[1])) if topics else None,
        )

    def may_hold_more(self, topics: Collection[str], ends: NextOffsets) -> bool:
        """Whether it may hold an offset that is not below these ends."""
        # a text's bounds are cut to 16 characters, the upper one rounded up: they are bounds all the same
        held = [topic for topic in topics if self.topics is None or self.topics[0] <= topic <= self.topics[1]]
        if self.partitions is None:
            return bool(held)
        return any(
            ends.get(topic, {}).get(partition, 0) <= self.last_offset for topic in held for partition in self.partitions
        )


def _bounds(file: DataFile, schema: Schema, column: str) -> tuple[Any, Any] | None:
    field = schema.find_field(column)
    low = (file.lower_bounds or {}).get(field.field_id)
    high = (file.upper_bounds or {}).get(field.field_id)
    if low is None or high is None or not isinstance(field.field_type, PrimitiveType):
        return None
    return from_bytes(field.field_type, low), from_bytes(field.field_type, high)


def _largest(table: Table, path: str) -> Iterator[tuple[str, int, int]]:
    """Yield topic, partition and largest offset, of each batch of rows."""
    with table.io.new_input(path).open() as file:
        for batch in pq.ParquetFile(file).iter_batches(columns=list(_COLUMNS)):
            topics = batch.column(_TOPIC)
            for topic in pc.unique(topics).to_pylist():
                of_topic = batch.filter(pc.equal(topics, topic))
                for partition in pc.unique(of_topic.column(_PARTITION)).to_pylist():
                    mine = of_topic.filter(pc.equal(of_topic.column(_PARTITION), partition))
                    yield topic, partition, pc.max(mine.column(_OFFSET)).as_py()
