"""The table of a stream's dead letters: its columns, and how far the topic is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    IcebergType,
    IntegerType,
    LongType,
    MapType,
    NestedField,
    StringType,
    TimestamptzType,
)

from keystone_platform.dead_letters.letter import DeadLetter
from keystone_platform.gateways.iceberg_schema import TABLE_PROPERTIES
from keystone_platform.spec.names import DEAD_LETTER_NAMESPACE

_COLUMNS: Mapping[str, IcebergType] = {
    "died_at": TimestamptzType(),
    "event_time": TimestamptzType(),
    "route": StringType(),
    "code": StringType(),
    "text": StringType(),
    "plan_digest": StringType(),
    "source_topic": StringType(),
    "source_partition": IntegerType(),
    "source_offset": LongType(),
    "guid": StringType(),
    "key": BinaryType(),
    "payload": BinaryType(),
    "headers": MapType(101, StringType(), 102, BinaryType(), value_required=False),
    "letter_partition": IntegerType(),
    "letter_offset": LongType(),
}
"""(letter_partition, letter_offset) is a row's identity among those of one cluster, which its source_topic tells;
(route, source_*) is its event's: an event may have two rows."""

SCHEMA = Schema(
    *(NestedField(number, name, kind, required=False) for number, (name, kind) in enumerate(_COLUMNS.items(), 1))
)

PROPERTIES: Mapping[str, str] = {
    **TABLE_PROPERTIES,
    # a commit that collides is another landing of the same letters: to try it again would land them twice
    "commit.retry.num-retries": "0",
}

NEXT_OFFSET = "keystone.dead-letters.next-offset."
"""Table property, and in a snapshot's summary, followed by a partition of the topic, of a standby cluster's by
`<cluster>/<partition>`: the first offset that is not in the table. It is written in the commit that lands the rows
before it."""

_ARROW = pa.schema(
    {
        "died_at": pa.timestamp("us", tz="UTC"),
        "event_time": pa.timestamp("us", tz="UTC"),
        "route": pa.string(),
        "code": pa.string(),
        "text": pa.string(),
        "plan_digest": pa.string(),
        "source_topic": pa.string(),
        "source_partition": pa.int32(),
        "source_offset": pa.int64(),
        "guid": pa.string(),
        "key": pa.binary(),
        "payload": pa.binary(),
        "headers": pa.map_(pa.string(), pa.binary()),
        "letter_partition": pa.int32(),
        "letter_offset": pa.int64(),
    }
)


def table_name(stream: str) -> str:
    """Return the table of the stream's dead letters."""
    return f"{DEAD_LETTER_NAMESPACE}.{stream}"


def rows(letters: Sequence[DeadLetter]) -> pa.Table:
    """Return the letters as rows of the table."""
    return pa.Table.from_pylist([_row(letter) for letter in letters], schema=_ARROW)


def next_offsets(properties: Mapping[str, str], cluster: str | None = None) -> dict[int, int]:
    """Return, by partition of the topic on that standby cluster or the primary, the first offset not in the table."""
    begin = _prefix(cluster)
    return {
        int(partition): int(value)
        for name, value in properties.items()
        if name.startswith(begin) and (partition := name.removeprefix(begin)).isdecimal()
    }


def offset_properties(offsets: Mapping[int, int], cluster: str | None = None) -> dict[str, str]:
    """Return what `next_offsets` reads."""
    return {f"{_prefix(cluster)}{partition}": str(offset) for partition, offset in offsets.items()}


def _prefix(cluster: str | None) -> str:
    return f"{NEXT_OFFSET}{cluster}/" if cluster else NEXT_OFFSET


def _row(letter: DeadLetter) -> dict[str, object]:
    return {
        "died_at": letter.died_at,
        "event_time": letter.event_time,
        "route": letter.route,
        "code": letter.code,
        "text": letter.text,
        "plan_digest": letter.digest,
        "source_topic": letter.source.topic,
        "source_partition": letter.source.partition,
        "source_offset": letter.source.offset,
        "guid": letter.guid,
        "key": letter.key,
        "payload": letter.payload,
        "headers": list(letter.headers.items()),
        "letter_partition": letter.at.partition,
        "letter_offset": letter.at.offset,
    }
