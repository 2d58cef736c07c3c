"""Drops whole hours that are older than a table's `keep_days`, by metadata alone.

The same commit writes down where the topics end in the table (ENDS_PROPERTY), because a router that has nothing else
goes on where its table ends: without it, a partition whose rows are all dropped would be read from its beginning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyiceberg.conversions import from_bytes
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.manifest import DataFile, ManifestContent, ManifestFile
from pyiceberg.table import Table
from pyiceberg.types import IntegerType

from assets.upkeep.report import Removal
from keystone_platform.errors import InvalidSpec, Transient
from keystone_platform.gateways.iceberg_files import RETENTION_MARK, hour_of, hour_ordinal
from keystone_platform.gateways.iceberg_schema import is_hourly
from keystone_platform.gateways.landed_ends import ENDS_PROPERTY, next_offsets
from keystone_platform.plan.recovery import positions_text

FILES_PER_COMMIT = 5_000
"""A commit takes whole hours up to so many files, one hour at least; the rest comes in the next one."""

ATTEMPTS = 5
"""Of each commit, when a compaction replaces files that were to go; conflicts with appends are retried by pyiceberg."""


@dataclass(frozen=True)
class Dropped:
    """Hours that went; `first` is the first of them, None where Python's calendar has no name for it."""

    hours: int = 0
    rows: int = 0
    bytes: int = 0
    first: datetime | None = None

    def removals(self) -> tuple[Removal, ...]:
        """Return what went."""
        return Removal("hours", self.hours, self.bytes, self.first), Removal("rows", self.rows, 0, self.first)

    def __add__(self, other: Dropped) -> Dropped:
        first = min((hour for hour in (self.first, other.first) if hour), default=None)
        return Dropped(self.hours + other.hours, self.rows + other.rows, self.bytes + other.bytes, first)


def first_kept(keep_days: int, now: datetime) -> datetime:
    """Return the first hour that stays: all before it were over `keep_days` ago."""
    return (now - timedelta(days=keep_days)).replace(minute=0, second=0, microsecond=0)


def drop_hours(
    table: Table, keep_days: int, topics: Collection[str], now: datetime, *, dry_run: bool = False
) -> Dropped:
    """Drop the hours that are past their age. Rows that are appended meanwhile stay, rows without a time always.

    Args:
        table: is refreshed.
        keep_days: declared in the YAML.
        topics: all that the table's router reads.
        now: the time.
        dry_run: only tell.

    Raises:
        InvalidSpec: the table is not partitioned by the hour.
        Transient: compaction kept replacing the files; what was dropped before it stays dropped.
    """
    if not is_hourly(table.spec(), table.schema()):
        message = f"{'.'.join(table.name())} is not partitioned by the hour of _time"
        raise InvalidSpec(message, field="sink.warehouse.keep_days", mend="Leave keep_days out.")
    border = first_kept(keep_days, now)
    if dry_run:
        return _sum(_old_files(table.refresh(), hour_ordinal(border)))
    done = Dropped()
    while (dropped := _drop_some(table, border, topics)).hours:
        done += dropped
    return done


def _drop_some(table: Table, border: datetime, topics: Collection[str]) -> Dropped:
    for _ in range(ATTEMPTS):
        chosen = _oldest_hours(_old_files(table.refresh(), hour_ordinal(border)))
        if not chosen:
            return Dropped()
        files = [file for file in _old_files(table, max(chosen) + 1) if file.partition[0] in chosen]
        ends = positions_text(next_offsets(table, topics))
        transaction = table.transaction()
        try:
            if ends:
                transaction.set_properties({ENDS_PROPERTY: ends})
            marked = {RETENTION_MARK: border.isoformat()}
            with transaction.update_snapshot(snapshot_properties=marked).overwrite() as overwrite:
                for file in files:
                    overwrite.delete_data_file(file)
            transaction.commit_transaction()
        except (CommitFailedException, ValidationException):  # a file that was to go has been compacted
            continue
        return _sum(files)
    message = f"{'.'.join(table.name())} kept changing while hours before {border:%Y-%m-%d %H:%M} were to be dropped"
    raise Transient(message, mend="Try again.")


def _old_files(table: Table, border: int) -> Iterator[DataFile]:
    """Yield the files of the hours before `border`, counted from 1970."""
    head = table.current_snapshot()
    for manifest in head.manifests(table.io) if head else ():
        if manifest.content is ManifestContent.DATA and _may_be_older(manifest, border):
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                hour = entry.data_file.partition[0]
                if hour is not None and hour < border:
                    yield entry.data_file


def _oldest_hours(files: Iterator[DataFile]) -> set[int]:
    """Return the oldest hours, as many as FILES_PER_COMMIT allows; files are counted, not held."""
    counts = Counter(file.partition[0] for file in files)
    chosen: set[int] = set()
    taken = 0
    for hour in sorted(counts):
        taken += counts[hour]
        if chosen and taken > FILES_PER_COMMIT:
            break
        chosen.add(hour)
    return chosen


def _may_be_older(manifest: ManifestFile, border: int) -> bool:
    if not manifest.partitions:
        return True
    bound = manifest.partitions[0].lower_bound
    return bound is not None and int(from_bytes(IntegerType(), bound)) < border


def _sum(files: Iterable[DataFile]) -> Dropped:
    hours: set[int] = set()
    rows = size = 0
    first: datetime | None = None
    for file in files:
        hours.add(file.partition[0])
        rows, size = rows + file.record_count, size + file.file_size_in_bytes
        hour = hour_of(file)
        first = min(hour, first) if hour and first else hour or first
    return Dropped(len(hours), rows, size, first)
