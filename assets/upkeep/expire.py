"""Expires snapshots and deletes the files that no snapshot reaches any more.

Metadata first: files are deleted only after the commit that forgets their snapshots. A crash in between leaves files
that nothing refers to, which the pass over orphans finds.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import AssertRefSnapshotId, AssertTableUUID, RemoveSnapshotsUpdate, TableRequirement

from assets.upkeep.history import Keeping, expired
from assets.upkeep.metadata import keeping, past, refs
from assets.upkeep.policy import Order
from assets.upkeep.reach import Sized, live_files, manifests_of
from assets.upkeep.report import Removal, removal
from keystone_platform.errors import Transient
from keystone_platform.gateways.iceberg_files import from_millis
from keystone_platform.gateways.objects import ObjectStore

SNAPSHOTS_PER_COMMIT = 2_000
"""More wait for the next commit of the same run: it bounds what is read and deleted at once."""

ATTEMPTS = 20
"""A router commits every few seconds; each attempt decides anew on what the table is by then."""

PROVEN_TAG = "proven"
"""Tag that moves to a snapshot while others act; it must not come onto one in the moment that it expires."""


@dataclass(frozen=True)
class Expiry:
    """Snapshots that a table no longer has, and the files that only they reached."""

    snapshots: tuple[Snapshot, ...] = ()
    data: tuple[Sized, ...] = ()
    metadata: tuple[Sized, ...] = ()

    def removals(self) -> tuple[Removal, ...]:
        """Return what went."""
        return (
            removal("snapshots", [(from_millis(each.timestamp_ms), 0) for each in self.snapshots]),
            removal("data files", [(None, size) for _, size in self.data]),
            removal("metadata files", [(None, size) for _, size in self.metadata]),
        )


def expire(table: Table, objects: ObjectStore, now: datetime, order: Order) -> Expiry:
    """Expire at most SNAPSHOTS_PER_COMMIT snapshots that `history.expired` lets go, oldest first; a dry run tells all.

    Blocks for a read of each manifest list that the table has, of the manifests that only the expired snapshots had,
    and, where those name data files, of all others.

    Args:
        table: is refreshed.
        objects: deletes.
        now: the time.
        order: its `snapshot_age`, `worth` and `dry_run`.

    Raises:
        Transient: the table kept changing; nothing was done.
        FileNotFoundError: a file that the table still needs is missing: nothing was deleted.
    """
    before, after = _committed(table, now, order)
    remaining = {each.snapshot_id for each in after.snapshots}
    gone = tuple(each for each in before.snapshots if each.snapshot_id not in remaining)
    if not gone:
        return Expiry()
    found = _unreached(table, before, after, gone)
    if not order.dry_run:
        objects.delete(path for path, _ in (*found.data, *found.metadata))
    return found


def _committed(table: Table, now: datetime, order: Order) -> tuple[TableMetadata, TableMetadata]:
    """Return the metadata before and after the commit that removes the snapshots."""
    for _ in range(ATTEMPTS):
        before = table.refresh().metadata
        wanted = keeping(before)
        if order.snapshot_age is not None:
            wanted = Keeping(order.snapshot_age, wanted.least)
        going = expired(past(before), refs(before), wanted, now)
        if not going or len(going) < order.worth * len(before.snapshots):
            return before, before
        going = going[: None if order.dry_run else SNAPSHOTS_PER_COMMIT]
        if order.dry_run:
            rest = [each for each in before.snapshots if each.snapshot_id not in set(going)]
            return before, before.model_copy(update={"snapshots": rest})
        try:
            # one attempt, without the retries of a transaction, which would not decide anew
            table._do_commit((RemoveSnapshotsUpdate(snapshot_ids=going),), _unmoved(before))
        except (CommitFailedException, ValueError):  # a ValueError: another upkeep has removed one of them
            continue
        return before, table.metadata
    message = f"{'.'.join(table.name())} kept changing while its snapshots were to expire"
    raise Transient(message, mend="Try again.")


def _unmoved(metadata: TableMetadata) -> tuple[TableRequirement, ...]:
    """Demand that each branch and tag is where it was: a snapshot that got one meanwhile must not go."""
    at = {PROVEN_TAG: None, **{name: ref.snapshot_id for name, ref in metadata.refs.items()}}
    there = tuple(AssertRefSnapshotId(ref=name, snapshot_id=snapshot) for name, snapshot in at.items())
    return (AssertTableUUID(uuid=metadata.table_uuid), *there)


def _unreached(table: Table, before: TableMetadata, after: TableMetadata, gone: tuple[Snapshot, ...]) -> Expiry:
    """Return the files that `gone` reached and none of the snapshots that remain does."""
    kept_lists = {each.manifest_list for each in after.snapshots}
    lists = {each.manifest_list for each in gone} - kept_lists
    manifests = dict(manifests_of(table.io, sorted(lists), may_be_gone=True))
    kept: set[str] = set()
    for path, _ in manifests_of(table.io, sorted(kept_lists)):
        manifests.pop(path, None)
        kept.add(path)
    data = _only(dict(live_files(table.io, sorted(manifests), may_be_gone=True)), table, kept)
    statistics = _statistics(before)
    for path in _statistics(after):
        statistics.pop(path, None)
    metadata = (*manifests.items(), *((path, 0) for path in sorted(lists)), *statistics.items())
    return Expiry(gone, tuple(data.items()), metadata)


def _only(files: dict[str, int], table: Table, kept: Collection[str]) -> dict[str, int]:
    """Return the files that none of the kept manifests names."""
    for path, _ in live_files(table.io, sorted(kept) if files else ()):
        files.pop(path, None)
    return files


def _statistics(metadata: TableMetadata) -> dict[str, int]:
    files = (*metadata.statistics, *metadata.partition_statistics)
    return {each.statistics_path: each.file_size_in_bytes for each in files}
