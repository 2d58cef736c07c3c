"""What a table's metadata says about its data files: totals by hour, and what changed since a snapshot.

Only manifests are read, never data. A manifest that can't hold the hours asked for is skipped by its bounds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile, ManifestContent, ManifestEntry, ManifestEntryStatus, ManifestFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot, ancestors_of
from pyiceberg.types import IntegerType, TimestamptzType
from pyiceberg.utils.datetime import micros_to_timestamptz

from keystone_platform.gateways.iceberg_schema import TIME_COLUMN

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SMALL_FILE_BYTES = 64 * 1024 * 1024
"""A data file below this is small: worth merging with others of its hour."""

MAX_SNAPSHOTS = 200
"""Snapshots that changes_since walks through; beyond that, reading the whole table's manifests is cheaper."""

LATE = timedelta(minutes=5)
"""Rows that are committed so long after the end of their hour landed late: who read the hour may have missed them."""

COMPACTION_MARK = "keystone.compaction"
"""Key in a snapshot's summary that tells a compaction from new data; its value is the hour."""

COMPACTION_JOB = "keystone.compaction-job"
"""Key in the summary of a compaction that ran on Flink; its value tells it from any other."""

RETENTION_MARK = "keystone.retention"
"""Key in the summary of a snapshot that dropped hours for their age; its value is the first hour that stays."""


@dataclass(frozen=True)
class HourTotals:
    """What one hour of a table holds now.

    Attributes:
        hour: its start, UTC; None for rows without a time.
        bytes: compressed size of the data files.
        small_files: how many of `files` are below SMALL_FILE_BYTES.
        small_sizes: their bytes, one each.
        first_time: earliest `_time`, microseconds; None when no file tells.
        last_time: latest `_time`.
        changed_at: when the newest of the files was committed; None when all those snapshots have expired.
        sequence: largest sequence number of the files: grows with each commit that adds one, and never expires.
    """

    hour: datetime | None
    rows: int = 0
    files: int = 0
    bytes: int = 0
    small_files: int = 0
    small_sizes: tuple[int, ...] = field(default=(), repr=False)
    first_time: datetime | None = None
    last_time: datetime | None = None
    changed_at: datetime | None = None
    sequence: int = 0


@dataclass(frozen=True)
class HourChange:
    """What happened to one hour between two snapshots.

    Attributes:
        rows_added: rows of new data; a compaction adds none.
        new_data: whether anything but compaction and retention touched the hour.
        late_rows: of those added, how many were committed more than LATE after the hour's end; None when not known.
    """

    hour: datetime | None
    rows_added: int
    new_data: bool
    late_rows: int | None = 0


@dataclass(frozen=True)
class Changes:
    """What happened to a table since a snapshot.

    Attributes:
        snapshot_id: the newest snapshot; None when the table never had one.
        hours: the hours that were touched, in order; a None hour last.
        complete: False when the snapshot asked for is not among the newest MAX_SNAPSHOTS of the history (it expired,
            or it is long ago): then `hours` are all the hours of the table, each as new data.
        rows: of the whole table at that newest snapshot.
    """

    snapshot_id: int | None
    hours: tuple[HourChange, ...]
    complete: bool
    rows: int = 0


def hour_ordinal(hour: datetime) -> int:
    """Return the hours since 1970, as Iceberg's hour transform counts them."""
    return int((hour - EPOCH) // timedelta(hours=1))


def hour_of(data_file: DataFile) -> datetime | None:
    """Return the start of the file's hour; None for rows without a time, or with one beyond the calendar."""
    ordinal = data_file.partition[0] if len(data_file.partition) else None
    if ordinal is None:
        return None
    try:
        return EPOCH + timedelta(hours=ordinal)
    except OverflowError:  # a producer's clock can say year 200,000; Python's calendar ends at 9999
        return None


def live_entries(table: Table, hours: Collection[datetime | None] | None = None) -> Iterator[ManifestEntry]:
    """Yield the entries of the current snapshot's data files, of these hours only when given.

    Blocks for one request for the manifest list and one for each manifest that may hold such files.
    """
    for manifest in data_manifests(table, hours):
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            if hours is None or hour_of(entry.data_file) in hours:
                yield entry


def data_manifests(table: Table, hours: Collection[datetime | None] | None = None) -> Iterator[ManifestFile]:
    """Yield the current snapshot's manifests that may list data files of these hours, or of any.

    Blocks for one request.
    """
    head = table.current_snapshot()
    for manifest in head.manifests(table.io) if head else ():
        if manifest.content is ManifestContent.DATA and _may_hold(manifest, hours):
            yield manifest


def totals_by_hour(
    table: Table, hours: Collection[datetime | None] | None = None, small: int = SMALL_FILE_BYTES
) -> tuple[HourTotals, ...]:
    """Return the totals of each hour that has files, in order, rows without a time last."""
    time_id = table.schema().find_field(TIME_COLUMN).field_id
    committed = {snapshot.snapshot_id: from_millis(snapshot.timestamp_ms) for snapshot in table.snapshots()}
    return sum_by_hour(live_entries(table, hours), time_id, committed, small)


def sum_by_hour(
    entries: Iterable[ManifestEntry], time_id: int, committed: Mapping[int, datetime], small: int = SMALL_FILE_BYTES
) -> tuple[HourTotals, ...]:
    """Sum data files up by their hour.

    Args:
        entries: live files; one each.
        time_id: field id of `_time`, whose bounds give first and last.
        committed: when each snapshot that is still known was committed.
        small: bytes below which a file counts as small.
    """
    totals: dict[datetime | None, HourTotals] = {}
    sizes: defaultdict[datetime | None, list[int]] = defaultdict(list)
    for entry in entries:
        data_file = entry.data_file
        hour = hour_of(data_file)
        if data_file.file_size_in_bytes < small:
            sizes[hour].append(data_file.file_size_in_bytes)
        before = totals.get(hour, HourTotals(hour))
        first, last = _bounds(data_file, time_id)
        changed = committed.get(entry.snapshot_id) if entry.snapshot_id is not None else None
        totals[hour] = HourTotals(
            hour=hour,
            rows=before.rows + data_file.record_count,
            files=before.files + 1,
            bytes=before.bytes + data_file.file_size_in_bytes,
            small_files=len(sizes[hour]),
            first_time=min((time for time in (before.first_time, first) if time), default=None),
            last_time=max((time for time in (before.last_time, last) if time), default=None),
            changed_at=max((time for time in (before.changed_at, changed) if time), default=None),
            sequence=max(before.sequence, entry.sequence_number or 0),
        )
    return tuple(replace(totals[hour], small_sizes=tuple(sizes[hour])) for hour in _in_order(totals))


def changes_since(table: Table, snapshot_id: int | None) -> Changes:
    """Return which hours changed after `snapshot_id`; None asks for everything.

    Reads one manifest list for each snapshot in between.
    """
    head = table.current_snapshot()
    if head is None:
        return Changes(None, (), complete=True)
    between = _snapshots_after(table, head, snapshot_id)
    if between is None:
        hours = tuple(
            HourChange(total.hour, total.rows, new_data=True, late_rows=None) for total in totals_by_hour(table)
        )
        return Changes(head.snapshot_id, hours, complete=snapshot_id is None, rows=_rows(head))
    changed: dict[datetime | None, HourChange] = {}
    for snapshot in between:
        for change in _changes_of(table, snapshot):
            before = changed.get(change.hour, HourChange(change.hour, 0, new_data=False))
            changed[change.hour] = HourChange(
                change.hour,
                before.rows_added + change.rows_added,
                before.new_data or change.new_data,
                (before.late_rows or 0) + (change.late_rows or 0),
            )
    hours = tuple(changed[hour] for hour in _in_order(changed))
    return Changes(head.snapshot_id, hours, complete=True, rows=_rows(head))


def from_millis(millis: int) -> datetime:
    """Return the time of so many milliseconds since 1970, UTC."""
    return EPOCH + timedelta(milliseconds=millis)


def is_compaction(snapshot: Snapshot) -> bool:
    """Whether the snapshot only rewrote files, so that no row came or went."""
    return snapshot.summary is not None and COMPACTION_MARK in snapshot.summary.additional_properties


def _brings_data(snapshot: Snapshot) -> bool:
    """Whether the snapshot is more than upkeep of rows that were there before."""
    return not is_compaction(snapshot) and not (
        snapshot.summary and RETENTION_MARK in snapshot.summary.additional_properties
    )


def _snapshots_after(table: Table, head: Snapshot, snapshot_id: int | None) -> list[Snapshot] | None:
    """Return the snapshots from `head` back to, without, `snapshot_id`; None when it is too far away or unknown."""
    if snapshot_id is None:
        return None
    newest = list(islice(ancestors_of(head, table.metadata), MAX_SNAPSHOTS))
    ids = [snapshot.snapshot_id for snapshot in newest]
    return newest[: ids.index(snapshot_id)] if snapshot_id in ids else None


def _changes_of(table: Table, snapshot: Snapshot) -> Iterator[HourChange]:
    brings_data, committed = _brings_data(snapshot), from_millis(snapshot.timestamp_ms)
    for manifest in snapshot.manifests(table.io):
        if manifest.content is not ManifestContent.DATA or manifest.added_snapshot_id != snapshot.snapshot_id:
            continue
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False):
            # a manifest that merges older ones carries their files as EXISTING, of older snapshots
            if entry.snapshot_id != snapshot.snapshot_id or entry.status is ManifestEntryStatus.EXISTING:
                continue
            added = entry.status is ManifestEntryStatus.ADDED and brings_data
            rows = entry.data_file.record_count if added else 0
            hour = hour_of(entry.data_file)
            late = hour is not None and committed > hour + timedelta(hours=1) + LATE
            yield HourChange(hour, rows, new_data=brings_data, late_rows=rows if late else 0)


def _rows(snapshot: Snapshot) -> int:
    return int(snapshot.summary.additional_properties.get("total-records", 0)) if snapshot.summary else 0


def _may_hold(manifest: ManifestFile, hours: Collection[datetime | None] | None) -> bool:
    if hours is None or None in hours or not manifest.partitions:
        return True
    summary = manifest.partitions[0]
    if summary.lower_bound is None or summary.upper_bound is None:
        return False
    low, high = (int(from_bytes(IntegerType(), bound)) for bound in (summary.lower_bound, summary.upper_bound))
    return any(hour and low <= hour_ordinal(hour) <= high for hour in hours)


def _bounds(data_file: DataFile, field_id: int) -> tuple[datetime | None, datetime | None]:
    low = (data_file.lower_bounds or {}).get(field_id)
    high = (data_file.upper_bounds or {}).get(field_id)
    return _timestamp(low), _timestamp(high)


def _timestamp(bound: bytes | None) -> datetime | None:
    if bound is None:
        return None
    try:
        return micros_to_timestamptz(int(from_bytes(TimestamptzType(), bound)))
    except OverflowError:  # beyond the calendar, see hour_of
        return None


def _in_order(hours: Iterable[datetime | None]) -> list[datetime | None]:
    return sorted(hours, key=lambda hour: (hour is None, hour or EPOCH))
