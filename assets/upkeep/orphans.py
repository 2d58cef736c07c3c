"""Files in a table's folders that no snapshot reaches and no metadata names: what crashes and lost races leave behind.

Whatever is young stays, since somebody may be about to commit it: a compaction, or a router. A router's files can be
old and not committed yet: its job ended between checkpoint and commit, and commits them when it is started from that
checkpoint, days later. So files stay as well that were written after its last commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata

from assets.upkeep.metadata import newest_flink_commit
from assets.upkeep.places import key_of, places
from assets.upkeep.reach import live_files, manifests_of
from assets.upkeep.report import Removal, removal
from keystone_platform.errors import Terminal
from keystone_platform.gateways.objects import ObjectStore, StoredObject

BEFORE_COMMIT = timedelta(hours=1)
"""How long before its commit a router may have written a file: a checkpoint's interval and time-out, generously."""

_METADATA_ENDINGS = (".metadata.json", ".avro", ".stats", ".puffin")


@dataclass(frozen=True)
class Orphans:
    """Objects that nothing refers to."""

    found: tuple[StoredObject, ...] = ()

    def removals(self) -> tuple[Removal, ...]:
        """Return what goes: metadata apart from data, by their names."""
        metadata = [each for each in self.found if each.uri.endswith(_METADATA_ENDINGS)]
        data = [each for each in self.found if not each.uri.endswith(_METADATA_ENDINGS)]
        return (
            removal("orphan data files", [(each.modified, each.bytes) for each in data]),
            removal("orphan metadata files", [(each.modified, each.bytes) for each in metadata]),
        )


def find_orphans(table: Table, objects: ObjectStore, now: datetime, safe_age: timedelta) -> Orphans:
    """Return the orphans of a table that are older than the safe age.

    What the heads of branches and tags reach is read first, and the listing is held against it; only what is left over
    is held against every other snapshot, of the table as it is by then. Blocks for a request per 1,000 objects, for
    the heads' manifests, and where something is left over for every manifest list.

    Raises:
        Terminal: the table names files, and the listing shows none of them.
    """
    metadata = table.refresh().metadata
    heads = {ref.snapshot_id for ref in metadata.refs.values()}
    read: set[str] = set()
    known = {*_named(table), *_reached(table, heads, read)}
    border = _border(metadata, now - safe_age)
    left: dict[str, StoredObject] = {}
    seen = False
    for prefix in places(table.location(), table.properties).folders:
        for each in objects.walk(prefix):
            key = key_of(each.uri)
            if key in known:
                seen = True
            elif each.modified < border:
                left[key] = each
    if not seen:
        message = f"{'.'.join(table.name())} names {len(known)} files, and its folders hold none of them"
        raise Terminal(message, mend="Its paths and the store's do not match: nothing was deleted.")
    _take_out(table, left, read)
    return Orphans(tuple(left.values()))


def _border(metadata: TableMetadata, safe: datetime) -> datetime:
    committed = newest_flink_commit(metadata)
    return min(safe, committed - BEFORE_COMMIT) if committed else safe


def _take_out(table: Table, left: dict[str, StoredObject], read: set[str]) -> None:
    """Take out of what is left whatever any snapshot reaches or the metadata names by now."""
    if not left:
        return
    everyone = {each.snapshot_id for each in table.refresh().metadata.snapshots}
    for key in chain(_named(table), _reached(table, everyone, read)):
        left.pop(key, None)


def _named(table: Table) -> Iterator[str]:
    """Yield the keys of what the metadata itself names, and of the metadata."""
    metadata = table.metadata
    yield key_of(table.metadata_location)
    yield from (key_of(entry.metadata_file) for entry in metadata.metadata_log)
    yield from (key_of(each.manifest_list) for each in metadata.snapshots)
    yield from (key_of(each.statistics_path) for each in (*metadata.statistics, *metadata.partition_statistics))


def _reached(table: Table, snapshots: Collection[int], read: set[str]) -> Iterator[str]:
    """Yield the keys of the manifests and files that these snapshots reach, but for what was read before."""
    lists = {each.manifest_list for each in table.metadata.snapshots if each.snapshot_id in snapshots} - read
    manifests = {path for path, _ in manifests_of(table.io, sorted(lists))} - read
    read |= lists | manifests
    yield from map(key_of, manifests)
    yield from (key_of(path) for path, _ in live_files(table.io, sorted(manifests)))
