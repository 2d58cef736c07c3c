"""A table's metadata as the values that upkeep decides on."""

from __future__ import annotations

from datetime import datetime, timedelta

from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import SnapshotRef, SnapshotRefType

from assets.upkeep.history import Keeping, PastSnapshot, Ref
from keystone_platform.gateways.iceberg_files import from_millis
from keystone_platform.gateways.iceberg_snapshots import FLINK_JOB_ID

MAX_AGE = "history.expire.max-snapshot-age-ms"
MIN_SNAPSHOTS = "history.expire.min-snapshots-to-keep"
COLLECTING = "gc.enabled"
"""Iceberg's switch: a table whose property is `false` shares its files, and nobody may delete any."""

ICEBERG_MAX_AGE_MS = 5 * 24 * 60 * 60 * 1000
ICEBERG_MIN_SNAPSHOTS = 1
"""Iceberg's defaults of these properties."""


def past(metadata: TableMetadata) -> tuple[PastSnapshot, ...]:
    """Return the table's snapshots."""
    return tuple(
        PastSnapshot(
            id=each.snapshot_id,
            parent=each.parent_snapshot_id,
            committed=from_millis(each.timestamp_ms),
            job=each.summary.additional_properties.get(FLINK_JOB_ID) if each.summary else None,
        )
        for each in metadata.snapshots
    )


def refs(metadata: TableMetadata) -> tuple[Ref, ...]:
    """Return the table's branches and tags."""
    default = keeping(metadata)
    return tuple(
        Ref(name, ref.snapshot_id, ref.snapshot_ref_type is SnapshotRefType.BRANCH, _own_keeping(ref, default))
        for name, ref in metadata.refs.items()
    )


def keeping(metadata: TableMetadata) -> Keeping:
    """Return how much history the table's properties ask to keep."""
    properties = metadata.properties
    return Keeping(
        age=timedelta(milliseconds=int(properties.get(MAX_AGE, ICEBERG_MAX_AGE_MS))),
        least=max(1, int(properties.get(MIN_SNAPSHOTS, ICEBERG_MIN_SNAPSHOTS))),
    )


def may_collect(metadata: TableMetadata) -> bool:
    """Whether files of the table may be deleted."""
    return metadata.properties.get(COLLECTING, "true").lower() != "false"


def newest_flink_commit(metadata: TableMetadata) -> datetime | None:
    """Return when a Flink job committed last, as far as the history tells."""
    return max((each.committed for each in past(metadata) if each.job), default=None)


def _own_keeping(ref: SnapshotRef, default: Keeping) -> Keeping | None:
    if ref.max_snapshot_age_ms is None and ref.min_snapshots_to_keep is None:
        return None
    age = default.age if ref.max_snapshot_age_ms is None else timedelta(milliseconds=ref.max_snapshot_age_ms)
    return Keeping(age, ref.min_snapshots_to_keep or default.least)
