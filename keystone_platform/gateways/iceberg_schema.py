"""The Iceberg table of a RouterPlan: columns, partitions, properties, and what an existing one lacks for it. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import HourTransform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestamptzType,
)

from keystone_platform.plan.router_plan import METADATA_COLUMNS, RAW_COLUMN, RouterPlan
from keystone_platform.spec.types import Array, FieldType, Scalar, Struct

TIME_COLUMN = "_time"
"""The event's time, which the table's hidden partitions are made of."""

HOUR_FIELD = "_time_hour"
"""Name of the hidden partition field."""

TABLE_PROPERTIES = {
    "format-version": "2",
    "write.format.default": "parquet",
    "write.parquet.compression-codec": "zstd",
    # a router's files live until their hour is compacted: the cheapest level, which costs half the CPU of the usual one
    "write.parquet.compression-level": "1",
    # and no dictionaries, which are tried anew in every file, for columns of distinct values too
    "parquet.enable.dictionary": "false",
    "write.target-file-size-bytes": str(256 * 1024 * 1024),
    # pyiceberg takes this one, Flink the size in bytes of its default (128 MB)
    "write.parquet.row-group-limit": "500000",
    # a hash at the front of each key: S3 throttles by prefix
    "write.object-storage.enabled": "true",
    # rows stay in the subtask that read them; one hour at a time is open, so no shuffle is worth its cost
    "write.distribution-mode": "none",
    # a router commits every few seconds: without these two, metadata files pile up forever
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
    # each commit adds a manifest, and readers open them all: the default waits for 100
    "commit.manifest.min-count-to-merge": "20",
    # a quiet stream commits nothing; the default is a commit without files every tenth checkpoint
    "flink.max-continuous-empty-commits": str(2**31 - 1),
    "write.metadata.metrics.default": "truncate(16)",
    # upkeep expires by these (assets/upkeep). Every commit writes all snapshots that are left into a new metadata file,
    # and readers parse it: six hours of a commit every ten seconds are 1.8 MB, a day is 7.4 MB
    "history.expire.max-snapshot-age-ms": str(6 * 60 * 60 * 1000),
    "history.expire.min-snapshots-to-keep": "50",
    # the router's committer and compaction collide: each tries again for a minute rather than failing a job; waiting
    # long helps nobody, since the other one comes back every few seconds
    "commit.retry.num-retries": "30",
    "commit.retry.min-wait-ms": "100",
    "commit.retry.max-wait-ms": "2000",
    "commit.retry.total-timeout-ms": "600000",
    # compaction replaces named files, so rows appended meanwhile are no conflict; pyiceberg's default says they are
    "write.delete.isolation-level": "snapshot",
    "write.update.isolation-level": "snapshot",
}
"""What every table gets when it is created. A property that somebody changed later is left as it is."""

_SCALARS: dict[Scalar, IcebergType] = {
    Scalar.STRING: StringType(),
    Scalar.BOOLEAN: BooleanType(),
    Scalar.INT: IntegerType(),
    Scalar.BIGINT: LongType(),
    Scalar.FLOAT: FloatType(),
    Scalar.DOUBLE: DoubleType(),
    Scalar.DATE: DateType(),
    Scalar.TIMESTAMP: TimestamptzType(),
}

_METADATA: dict[str, IcebergType] = {
    "_guid": StringType(),
    TIME_COLUMN: TimestamptzType(),
    "_host": StringType(),
    "_app": StringType(),
    "_topic": StringType(),
    "_partition": IntegerType(),
    "_offset": LongType(),
}

_WIDENINGS = {(IntegerType(), LongType()), (FloatType(), DoubleType())}
"""Changes of a column's type that keep every old value readable, as Iceberg allows them."""


@dataclass(frozen=True)
class ColumnChange:
    """One column to add or to widen; `path` from the top, `type` the new one."""

    path: tuple[str, ...]
    type: IcebergType

    def __str__(self) -> str:
        return f"{'.'.join(self.path)} {self.type}"


@dataclass(frozen=True)
class Incompatibility:
    """A column that the table has with a type that can't become the wanted one."""

    path: tuple[str, ...]
    has: IcebergType
    wanted: IcebergType

    def __str__(self) -> str:
        return f"{'.'.join(self.path)} is {self.has}, wanted {self.wanted}"


@dataclass(frozen=True)
class Evolution:
    """What an existing table needs; nothing when it takes the rows as it is."""

    added: tuple[ColumnChange, ...] = ()
    widened: tuple[ColumnChange, ...] = ()
    incompatible: tuple[Incompatibility, ...] = ()


def table_schema(plan: RouterPlan) -> Schema:
    """Return the columns of the plan's table: `_value` or the selected ones, then the metadata; all optional.

    Field ids count from 1 in declared order; the catalog assigns its own when it creates the table.
    """
    ids = itertools.count(1)
    selected: list[tuple[str, FieldType]] = [(column.name, column.type) for column in plan.columns]
    fields = [NestedField(next(ids), RAW_COLUMN, BinaryType(), required=False)] if plan.source.raw else []
    fields += [NestedField(next(ids), name, _iceberg_type(kind, ids), required=False) for name, kind in selected]
    fields += [NestedField(next(ids), name, _METADATA[name], required=False) for name in METADATA_COLUMNS]
    return Schema(*fields)


def hourly(schema: Schema) -> PartitionSpec:
    """Return hidden partitioning by the hour of `_time`."""
    source = schema.find_field(TIME_COLUMN).field_id
    return PartitionSpec(PartitionField(source, 1000, HourTransform(), HOUR_FIELD))


def is_hourly(spec: PartitionSpec, schema: Schema) -> bool:
    """Whether a table is partitioned as Keystone's tables are: by the hour of `_time` and nothing else."""
    if len(spec.fields) != 1 or TIME_COLUMN not in schema.column_names:
        return False
    only = spec.fields[0]
    return isinstance(only.transform, HourTransform) and only.source_id == schema.find_field(TIME_COLUMN).field_id


def evolution(has: Schema, wanted: Schema) -> Evolution:
    """Return what `has` needs so that rows of `wanted` can be written; columns are matched by name, at any position.

    A column that only `has` knows stays: its old values remain readable and new rows leave it null. A column that is
    wider already (bigint for int, double for float) takes the narrower values as it is.
    """
    return _struct_evolution((), has.as_struct(), wanted.as_struct())


def _struct_evolution(path: tuple[str, ...], has: StructType, wanted: StructType) -> Evolution:
    present = {field.name: field.field_type for field in has.fields}
    added: list[ColumnChange] = []
    parts: list[Evolution] = []
    for field in wanted.fields:
        here = (*path, field.name)
        if field.name not in present:
            added.append(ColumnChange(here, field.field_type))
        else:
            parts.append(_column_evolution(here, present[field.name], field.field_type))
    return Evolution(
        added=(*added, *(change for part in parts for change in part.added)),
        widened=tuple(change for part in parts for change in part.widened),
        incompatible=tuple(problem for part in parts for problem in part.incompatible),
    )


def _column_evolution(path: tuple[str, ...], has: IcebergType, wanted: IcebergType) -> Evolution:
    if isinstance(has, StructType) and isinstance(wanted, StructType):
        return _struct_evolution(path, has, wanted)
    if isinstance(has, ListType) and isinstance(wanted, ListType):
        return _column_evolution((*path, "element"), has.element_type, wanted.element_type)
    if has == wanted or (wanted, has) in _WIDENINGS:
        return Evolution()
    if (has, wanted) in _WIDENINGS:
        return Evolution(widened=(ColumnChange(path, wanted),))
    return Evolution(incompatible=(Incompatibility(path, has, wanted),))


def _iceberg_type(kind: FieldType, ids: Iterator[int]) -> IcebergType:
    if isinstance(kind, Struct):
        inner = [
            NestedField(next(ids), part.name, _iceberg_type(part.type, ids), required=False) for part in kind.fields
        ]
        return StructType(*inner)
    if isinstance(kind, Array):
        return ListType(next(ids), _SCALARS[kind.element], element_required=False)
    return _SCALARS[kind]
