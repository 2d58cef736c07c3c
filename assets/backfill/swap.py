"""Puts a backfill's rows in the place of those that are there, in one commit, while a router goes on appending.

The commit takes the branch away as well, and demands that branch and table are as they were looked at: of any number of
attempts, of any number of processes, at most one takes effect, and a branch that is gone tells that one did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow
from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask, Table
from pyiceberg.table.update import AssertTableUUID
from pyiceberg.table.update.snapshot import ManageSnapshots

from assets.backfill.held import Held
from assets.backfill.remembering import RememberingIO
from assets.backfill.rows import Share, Survey
from assets.compaction.rewrite import write_files
from keystone_platform.errors import Conflict, KeystoneError, Terminal, Transient, UnknownOutcome
from keystone_platform.gateways.clock import Clock
from keystone_platform.gateways.iceberg_files import EPOCH, hour_of
from keystone_platform.plan.backfill import Backfill

ATTEMPTS = 100
WAIT_S = 0.05
"""Between attempts that lost against another writer's commit. A router commits every few seconds and nobody waits for
anybody: the next attempt begins right after a commit, when there is most time."""

MARK = "keystone.backfill"
"""Key in a snapshot's summary that names the backfill whose swap it is."""

REMOVED, ADDED = "keystone.backfill.removed", "keystone.backfill.added"
"""Keys in the same summary: rows that left the table, and rows that came."""

KEPT = "keystone.backfill.kept"
"""Key in the same summary: rows of the scope that stayed, since the source does not hold their events."""

TARGET_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Swapped:
    """What a swap did.

    Attributes:
        snapshot_id: the commit; None when there was nothing to take out and nothing to put in.
        removed: rows of the scope that were there before.
        added: rows that are there instead.
        kept: rows of the scope that stayed, since the source does not hold their events.
    """

    snapshot_id: int | None
    removed: int
    added: int
    kept: int = 0


def swap(table: Table, backfill: Backfill, new: Sequence[DataFile], clock: Clock, held: Held | None = None) -> Swapped:
    """Replace the rows of the backfill's scope by those of `new`; with `held`, only rows of these events.

    Guarantees: all or nothing, also for readers; no other row leaves or changes; rows appended meanwhile stay. A crash
    leaves files that nobody refers to. Harmless to repeat. Blocks for reading and writing the files that hold rows of
    the scope and others.

    Raises:
        Conflict: the branch is gone, and no commit of this table says why.
        Transient: the table kept changing; nothing was done.
        UnknownOutcome: the catalog did not say.
    """
    work = _Swap(table, backfill, new, held)
    for attempt in range(ATTEMPTS):
        if attempt:
            clock.sleep(WAIT_S)
        if (done := work.attempt()) is not None:
            return done
    return work.conclude()


def swapped(table: Table, backfill: Backfill) -> Swapped | None:
    """Return what the backfill's swap did; None while its branch is there. Raises Conflict when the branch is gone."""
    if backfill.branch in table.refs():
        return None
    for snapshot in table.snapshots():
        summary = snapshot.summary.additional_properties if snapshot.summary else {}
        if summary.get(MARK) == backfill.branch:
            counts = (int(summary.get(key, 0)) for key in (REMOVED, ADDED, KEPT))
            return Swapped(snapshot.snapshot_id, *counts)
    if backfill.property not in table.properties:
        message = f"{backfill.branch} of {'.'.join(table.name())} was ended by somebody else"
        raise Conflict(message, mend="Run the backfill again.")
    message = f"the branch {backfill.branch} of {'.'.join(table.name())} was removed by somebody"
    raise Conflict(message, mend="Run the backfill again.")


class _Swap:
    """One swap, what was written for it, and whether an attempt's outcome is not known."""

    def __init__(self, table: Table, backfill: Backfill, new: Sequence[DataFile], held: Held | None) -> None:
        self._table = table
        self._backfill = backfill
        self._new = new
        self._survey = Survey(backfill.scope, held)
        self._rest: dict[tuple[str, ...], tuple[DataFile, ...]] = {}
        self._unsure = False
        self._manifests: dict[str, bytes] = {}

    def attempt(self) -> Swapped | None:
        """Look at the table, then commit; None when somebody else was faster, or nobody knows."""
        try:
            self._table.refresh()
            if (done := swapped(self._table, self._backfill)) is not None:
                return done
            self._table.io = RememberingIO(self._table.io, self._manifests)
            old = self._survey.shares(self._table)
            rest = self._kept([share for share in old if not share.is_whole])
            return self._commit(old, rest)
        except CommitFailedException:
            return None
        except KeystoneError:
            raise
        except Exception as error:
            if self._unsure:
                raise self._unknown() from error
            raise

    def conclude(self) -> Swapped:
        """Return what was done after all, else raise what is known."""
        self._table.refresh()
        if (done := swapped(self._table, self._backfill)) is not None:
            return done
        if self._unsure:
            raise self._unknown()
        message = f"{'.'.join(self._table.name())} kept changing while {self._backfill.branch} was being swapped in"
        raise Transient(message, mend="Run the backfill again: it goes on from here.")

    def _commit(self, old: Sequence[Share], rest: Sequence[DataFile]) -> Swapped | None:
        removed, added = sum(share.rows for share in old), sum(file.record_count for file in self._new)
        kept = self._survey.kept(self._table)
        mark = {MARK: self._backfill.branch, REMOVED: str(removed), ADDED: str(added), KEPT: str(kept)}
        transaction = self._table.transaction()
        snapshot_id = None
        if old or self._new:
            with transaction.update_snapshot(snapshot_properties=mark).overwrite() as producer:
                for share in old:
                    producer.delete_data_file(share.file)
                for file in (*rest, *self._new):
                    producer.append_data_file(file)
            snapshot_id = producer.snapshot_id
        with ManageSnapshots(transaction) as manage:
            manage.remove_branch(self._backfill.branch)
        transaction.remove_properties(self._backfill.property)
        # not by commit_transaction: its retries drop the demand that the branch is there, and then a swap that another
        # process has done would be done twice
        demands = (*transaction._requirements, AssertTableUUID(uuid=self._table.metadata.table_uuid))
        try:
            self._table.catalog.commit_table(self._table, demands, transaction._updates)
        except CommitFailedException:
            raise
        except Exception:  # whatever a catalog's driver raises here, the commit may have gone through
            self._unsure = True
            return None
        return Swapped(snapshot_id, removed, added, kept)

    def _kept(self, partly: Sequence[Share]) -> tuple[DataFile, ...]:
        """Return new files with the rows of these files that stay; written once for the same files."""
        key = tuple(share.file.file_path for share in partly)
        if key not in self._rest:
            _refuse_years_beyond(partly)
            ordered = sorted(partly, key=lambda share: _order(share.file))
            self._rest[key] = tuple(
                file
                for hour, shares in groupby(ordered, key=lambda share: hour_of(share.file))
                for file in write_files(self._table, self._staying(shares), hour, TARGET_BYTES)
            )
        return self._rest[key]

    def _staying(self, shares: Iterator[Share]) -> Iterator[pa.RecordBatch]:
        """Yield the rows that stay, with the table's columns of now."""
        table = self._table
        schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
        scan = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue())
        for share in shares:
            for batch in scan.to_record_batches([FileScanTask(share.file)]):
                for rows in pa.Table.from_batches([batch]).cast(schema).to_batches():
                    yield rows.filter(pc.invert(self._survey.mask(rows)))

    def _unknown(self) -> UnknownOutcome:
        message = f"the swap of {self._backfill.branch} into {'.'.join(self._table.name())} may have happened"
        return UnknownOutcome(message, mend="Run the backfill again: it looks first.")


def _order(file: DataFile) -> tuple[datetime, bool]:
    hour = hour_of(file)
    return hour or EPOCH, hour is None


def _refuse_years_beyond(partly: Sequence[Share]) -> None:
    """Refuse to write into an hour that no calendar here has; a file that leaves as a whole needs no such writing."""
    if any(hour_of(share.file) is None and share.file.partition[0] is not None for share in partly):
        message = "a file of the scope holds rows of beyond the year 9999, others than those to replace among them"
        raise Terminal(message, mend="Backfill all offsets of that file, or a range of time.")
