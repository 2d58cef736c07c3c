"""The proven watermark of a table: up to when all its hours are proven, and the snapshot in which they are.

It is in the table itself, so that whoever reads the table finds it: a tag and a property, set in one commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from random import uniform

from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update.snapshot import ManageSnapshots

from keystone_platform.errors import Transient
from keystone_platform.gateways.clock import Clock
from keystone_platform.gateways.iceberg_files import HourTotals, totals_by_hour
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.proofs import Proofs
from keystone_platform.plan.hour_proof import PROVEN_TAG, PROVEN_UNTIL, Verdict, proven_until

ATTEMPTS = 20
"""A router commits every few seconds, and of two commits at once one has to begin again."""

WAIT_S = 0.5


@dataclass(frozen=True)
class Watermark:
    """Up to when a table is proven.

    Attributes:
        until: end of the last proven hour; None before the first.
        snapshot_id: in which it is; None before the first.
        moved: whether this look moved it.
        stopped_by: the first hour with rows that has no proof that holds; None when there is none.
    """

    until: datetime | None = None
    snapshot_id: int | None = None
    moved: bool = False
    stopped_by: datetime | None = None


def watermark_of(table: Table) -> Watermark:
    """Return the watermark that a loaded table has."""
    text, tag = table.properties.get(PROVEN_UNTIL), table.metadata.refs.get(PROVEN_TAG)
    if text is None or tag is None:
        return Watermark()
    with suppress(ValueError):
        return Watermark(datetime.fromisoformat(text).astimezone(UTC), tag.snapshot_id)
    return Watermark()


def advance(lake: IcebergLake, name: str, proofs: Proofs, clock: Clock) -> Watermark:
    """Move the watermark to where the proofs reach in the table's present snapshot; return where it is then.

    It only moves forward, in time and in snapshots, whoever else moves it. An hour that has other rows than its proof
    saw stops it, and so does one whose newest proof does not hold. Rows without a time belong to no hour.

    Blocks for the table's manifests, one query and, where it moves, one commit, which appends may delay by seconds.

    Raises:
        Transient: the table kept changing, or a server does not answer. The next call goes on.
        InvalidSpec: no such table.
    """
    table = lake.load(name)
    snapshot = table.current_snapshot()
    if snapshot is None:
        return Watermark()
    verdicts = proofs.verdicts(name)
    with lake.translated():
        hours = [(total.hour, covering(total, verdicts)) for total in totals_by_hour(table) if total.hour]
        until = proven_until(hours)
        stopped_by = next((hour for hour, verdict in hours if verdict is None or not verdict.holds), None)
        for _ in range(ATTEMPTS):
            now = watermark_of(table)
            if until is None or not _is_forward(table, now, until, snapshot):
                return Watermark(now.until, now.snapshot_id, moved=False, stopped_by=stopped_by)
            if _commit(table, until, snapshot.snapshot_id):
                return Watermark(until, snapshot.snapshot_id, moved=True, stopped_by=stopped_by)
            clock.sleep(uniform(0, WAIT_S))
            table.refresh()
    message = f"the table {name} kept changing while its watermark was being moved"
    raise Transient(message, mend="The next proof moves it.")


def covering(total: HourTotals, verdicts: Mapping[datetime, Verdict]) -> Verdict | None:
    """Return the hour's newest proof if the hour is still what was looked at."""
    verdict = verdicts.get(total.hour) if total.hour else None
    return verdict if verdict and verdict.covers(total.rows, total.sequence) else None


def _is_forward(table: Table, now: Watermark, until: datetime, snapshot: Snapshot) -> bool:
    if table.snapshot_by_id(snapshot.snapshot_id) is None:
        return False  # expired while others committed: there is a newer one to begin with
    tagged = table.snapshot_by_id(now.snapshot_id) if now.snapshot_id else None
    if now.until is None or tagged is None:
        return True
    sequence, before = snapshot.sequence_number or 0, tagged.sequence_number or 0
    return until >= now.until and sequence >= before and (until, sequence) != (now.until, before)


def _commit(table: Table, until: datetime, snapshot_id: int) -> bool:
    """Whether it was committed; the catalog refuses when somebody else moved the tag since the table was loaded."""
    transaction = table.transaction()
    transaction.set_properties({PROVEN_UNTIL: until.astimezone(UTC).isoformat()})
    ManageSnapshots(transaction).create_tag(snapshot_id, PROVEN_TAG).commit()
    try:
        transaction.commit_transaction()
    except (CommitFailedException, ValidationException):
        return False
    return True
