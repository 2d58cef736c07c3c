"""What the tests of upkeep do to a table: commits as a router's, old files, and upkeep at another time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pyiceberg.table import Table

from assets.compaction.rewrite import write_files
from assets.upkeep.policy import order
from assets.upkeep.report import TableReport, Task
from assets.upkeep.upkeep import Retention, Upkeep
from keystone_platform.gateways.lake import FLINK_CHECKPOINT_ID, FLINK_JOB_ID, IcebergLake
from tests.contract.folder_store import FolderStore
from tests.contract.lake_tables import TABLE, TEN, lake_with_table, rows

TOPICS = ("playback",)


@dataclass
class Later:
    """A clock that is ahead, or stands still."""

    by: timedelta = timedelta(days=2)
    stands_at: datetime | None = None

    def now(self) -> datetime:
        return (self.stands_at or datetime.now(UTC)) + self.by

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@dataclass
class World:
    """A lake with one table, a store over its folder, and upkeep of them two days from now."""

    folder: Path
    lake: IcebergLake
    store: FolderStore = field(default_factory=FolderStore)
    clock: Later = field(default_factory=Later)
    keep_days: int | None = None

    @property
    def table(self) -> Table:
        return self.lake.load(TABLE)

    def upkeep(self, *tasks: Task, **options: object) -> TableReport:
        retention = {TABLE: Retention(self.keep_days, TOPICS)} if self.keep_days else {}
        work = Upkeep(self.lake, self.store, self.clock, retention)  # type: ignore[arg-type]
        (report,) = work.tables(order(tasks, **options), [TABLE])  # type: ignore[arg-type]
        return report

    def offsets(self, snapshot: int | None = None) -> list[int]:
        read = self.table.scan(snapshot_id=snapshot, selected_fields=("_offset",)).to_arrow()
        return sorted(read.column("_offset").to_pylist())

    def every_snapshot(self) -> dict[int, list[int]]:
        """The rows of each snapshot that the table has, read to the end."""
        return {each.snapshot_id: self.offsets(each.snapshot_id) for each in self.table.metadata.snapshots}

    def files(self) -> set[str]:
        return {file.name for file in self.folder.rglob("*") if file.is_file() and "warehouse" in str(file)}


def new_world(folder: Path, **properties: str) -> World:
    """A table that keeps one snapshot, unless told otherwise."""
    lake, table = lake_with_table(folder)
    with table.transaction() as transaction:
        transaction.set_properties({"history.expire.min-snapshots-to-keep": "1", **properties})
    return World(folder, lake)


def commit(
    table: Table, offsets: Iterable[int], job: str | None = "job-a", checkpoint: int = 1, hour: datetime | None = TEN
) -> int:
    """Append as a router's committer does; returns the snapshot."""
    batch = rows(table, list(offsets), hour)
    files = write_files(table, batch.to_batches(), hour, target_bytes=1 << 30)
    told = {FLINK_JOB_ID: job, FLINK_CHECKPOINT_ID: str(checkpoint)} if job else {}
    table.refresh()
    with (
        table.transaction() as transaction,
        transaction.update_snapshot(snapshot_properties=told).merge_append() as append,
    ):
        for file in files:
            append.append_data_file(file)
    head = table.refresh().current_snapshot()
    assert head
    return head.snapshot_id
