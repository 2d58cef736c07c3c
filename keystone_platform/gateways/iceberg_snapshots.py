"""What a table's metadata says about its past: its snapshots, which one was current when, and the proven one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pyiceberg.manifest import DataFile, ManifestEntryStatus
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot, SnapshotLogEntry

from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.iceberg_files import COMPACTION_JOB, from_millis, is_compaction

PROVEN_TAG = "proven"
"""The tag on the snapshot in which every row before PROVEN_UNTIL belongs to an hour whose proof holds."""

PROVEN_UNTIL = "keystone.proven-until"
"""Property of the table: end of the last proven hour, ISO 8601, UTC. Set in one commit with the tag."""

FLINK_JOB_ID = "flink.job-id"
FLINK_CHECKPOINT_ID = "flink.max-committed-checkpoint-id"
"""Keys in a snapshot's summary where Iceberg's Flink sink names the job and the checkpoint that committed."""


@dataclass(frozen=True)
class Proven:
    """How far a table is proven: rows of that snapshot with `_time` before `until`."""

    snapshot_id: int
    until: datetime


@dataclass(frozen=True)
class SnapshotFacts:
    """One snapshot, as its summary tells.

    Attributes:
        operation: Iceberg's word: append, overwrite, replace, delete.
        rows: of the whole table in that snapshot.
        files: data files of the whole table in that snapshot.
        compaction: it only rewrote files; no row came or went.
        job: id of the Flink job that committed it; None when no router did.
        checkpoint: of that job.
        refs: branches and tags that point to it; such a snapshot does not expire.
    """

    snapshot_id: int
    committed_at: datetime
    operation: str
    rows_added: int
    rows_removed: int
    files_added: int
    files_removed: int
    rows: int
    files: int
    compaction: bool
    job: str | None
    checkpoint: int | None
    refs: tuple[str, ...]


def snapshot_facts(table: Table) -> tuple[SnapshotFacts, ...]:
    """Return the snapshots that have not expired, of all branches, newest first."""
    refs: dict[int, list[str]] = {}
    for name, ref in sorted(table.metadata.refs.items()):
        refs.setdefault(ref.snapshot_id, []).append(name)
    newest_first = sorted(table.metadata.snapshots, key=lambda each: (each.sequence_number or 0, each.timestamp_ms))
    return tuple(_facts(each, tuple(refs.get(each.snapshot_id, ()))) for each in reversed(newest_first))


def proven(table: Table) -> Proven | None:
    """Return how far the table is proven; None when nothing is yet."""
    ref = table.metadata.refs.get(PROVEN_TAG)
    until = table.metadata.properties.get(PROVEN_UNTIL)
    if ref is None or not until:
        return None
    try:
        time = datetime.fromisoformat(until)
    except ValueError:
        return None  # not written by Keystone
    return Proven(ref.snapshot_id, time.replace(tzinfo=time.tzinfo or UTC))


def snapshot_at(table: Table, time: datetime) -> Snapshot:
    """Return the snapshot that readers of the table saw at that time.

    Raises:
        InvalidSpec: it has expired, or the table had none; names the oldest moment there is.
    """
    name = ".".join(table.name())
    history = sorted(table.metadata.snapshot_log, key=lambda entry: entry.timestamp_ms)
    if not history:
        message = f"{name} has no snapshot yet"
        raise InvalidSpec(message, mend="Nothing has been committed to it.")
    known = {snapshot.snapshot_id: snapshot for snapshot in table.metadata.snapshots}
    at = max((index for index, entry in enumerate(history) if from_millis(entry.timestamp_ms) <= time), default=None)
    oldest = from_millis(history[0].timestamp_ms)
    if at is None:
        first = known.get(history[0].snapshot_id)
        if first is not None and first.sequence_number == 1:
            message = f"{name} had no rows at {_shown(time)}: its first commit was at {_shown(oldest)}"
            raise InvalidSpec(message, mend=f"Ask for {_shown(oldest)} or later.")
        raise _expired(name, time, oldest)
    found = known.get(history[at].snapshot_id)
    if found is None or _is_gap(table, found, history[at + 1 : at + 2]):
        kept = (entry.timestamp_ms for entry in history[at + 1 :] if entry.snapshot_id in known)
        raise _expired(name, time, from_millis(next(kept, history[-1].timestamp_ms)))
    return found


def snapshot_of(table: Table, snapshot_id: int) -> Snapshot:
    """Return the snapshot of that id; InvalidSpec when the table has none (any more), names the oldest."""
    found = table.snapshot_by_id(snapshot_id)
    if found is not None:
        return found
    name = ".".join(table.name())
    facts = snapshot_facts(table)
    oldest = f"the oldest is {facts[-1].snapshot_id} of {_shown(facts[-1].committed_at)}" if facts else "it has none"
    message = f"{name} has no snapshot {snapshot_id}: {oldest}"
    raise InvalidSpec(message, mend=f"`keystone snapshots {name}` lists them.")


def _is_gap(table: Table, found: Snapshot, then: list[SnapshotLogEntry]) -> bool:
    """Whether snapshots between this one and the history's next entry, if there is one, have expired.

    pyiceberg takes an expired snapshot's entry out of the history and leaves those before it, so the entry before the
    gap looks as if it had been current for longer. What tells is the next entry's parent, where that entry is the
    commit itself and not a branch or an older snapshot that became current later.
    """
    if not then:
        return False
    following = table.snapshot_by_id(then[0].snapshot_id)
    if following is None:
        return True
    is_commit = following.timestamp_ms == then[0].timestamp_ms
    return is_commit and following.parent_snapshot_id != found.snapshot_id


def _expired(name: str, time: datetime, oldest: datetime) -> InvalidSpec:
    message = f"{name} as of {_shown(time)} has expired: from {_shown(oldest)} on it can be read"
    return InvalidSpec(message, mend=f"`keystone snapshots {name}` lists what there is.")


def _facts(snapshot: Snapshot, refs: tuple[str, ...]) -> SnapshotFacts:
    summary = snapshot.summary.additional_properties if snapshot.summary else {}
    checkpoint = summary.get(FLINK_CHECKPOINT_ID)
    return SnapshotFacts(
        snapshot_id=snapshot.snapshot_id,
        committed_at=from_millis(snapshot.timestamp_ms),
        operation=str(snapshot.summary.operation.value) if snapshot.summary else "unknown",
        rows_added=int(summary.get("added-records", 0)),
        rows_removed=int(summary.get("deleted-records", 0)),
        files_added=int(summary.get("added-data-files", 0)),
        files_removed=int(summary.get("deleted-data-files", 0)),
        rows=int(summary.get("total-records", 0)),
        files=int(summary.get("total-data-files", 0)),
        compaction=is_compaction(snapshot),
        job=summary.get(FLINK_JOB_ID),
        checkpoint=int(checkpoint) if checkpoint is not None else None,
        refs=refs,
    )


def _shown(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"


def files_changed_by(table: Table, job: str) -> tuple[list[DataFile], list[DataFile], int | None]:
    """Return the files that the commit of a compaction on Flink took out, those it put in, and its snapshot's id.

    None of each when that job committed nothing. Blocks for one request and one for each manifest of the commit.
    """
    found = [each for each in table.snapshots() if each.summary and each.summary.get(COMPACTION_JOB) == job]
    gone: list[DataFile] = []
    come: list[DataFile] = []
    for snapshot in found:
        for manifest in snapshot.manifests(table.io):
            if manifest.added_snapshot_id != snapshot.snapshot_id:
                continue
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False):
                if entry.snapshot_id != snapshot.snapshot_id:
                    continue
                (gone if entry.status is ManifestEntryStatus.DELETED else come).append(entry.data_file)
    return gone, come, found[-1].snapshot_id if found else None
