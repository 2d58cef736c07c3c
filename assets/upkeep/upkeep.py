"""Upkeep of one table, and of all of them. What Dagster's asset and the command line both call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from pyiceberg.table import Table

from assets.upkeep.expire import expire
from assets.upkeep.metadata import COLLECTING, may_collect
from assets.upkeep.orphans import find_orphans
from assets.upkeep.places import Places, neighbours, places
from assets.upkeep.policy import Order
from assets.upkeep.report import Removal, TableReport, Task, merged
from assets.upkeep.retention import drop_hours
from assets.upkeep.uploads import find_uploads, removals
from keystone_platform.errors import InvalidSpec, KeystoneError
from keystone_platform.gateways.clock import Clock
from keystone_platform.gateways.iceberg_schema import is_hourly
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.objects import ObjectStore
from keystone_platform.spec.names import DEAD_LETTER_NAMESPACE


@dataclass(frozen=True)
class Retention:
    """How long the rows of a table stay, and which topics they are from."""

    keep_days: int
    topics: tuple[str, ...]


@dataclass(frozen=True)
class Upkeep:
    """What upkeep works with.

    Attributes:
        retention: of each table that has one declared, by name.
    """

    lake: IcebergLake
    objects: ObjectStore
    clock: Clock
    retention: Mapping[str, Retention]

    def tables(self, order: Order, names: Sequence[str] = ()) -> Iterator[TableReport]:
        """Yield the report of each table once it is done. One that fails keeps no other from it.

        Args:
            order: what to do.
            names: the tables; without any, all of the catalog that are Keystone's.

        Raises:
            KeystoneError: the catalog or the store do not answer before the first table.
        """
        shared = self._shared() if order.wants("orphans") else {}
        for name in names or self.lake.tables():
            yield self.table(name, order, shared.get(name, ()), only_ours=not names)

    def table(self, name: str, order: Order, shared: Collection[str] = (), *, only_ours: bool = False) -> TableReport:
        """Do what is ordered with one table; harmless to repeat, and to interrupt at any moment.

        Args:
            name: `namespace.table`.
            order: what to do.
            shared: tables whose folders are this one's too: then orphans can't be told from their files.
            only_ours: leave a table alone that is not Keystone's.
        """
        work = _Work(self, name, order, only_ours)
        try:
            with self.lake.translated():
                work.run(shared)
        except KeystoneError as error:
            work.error = error
        return TableReport(name, merged(work.removed), tuple(work.notes), work.error, order.dry_run)

    def _shared(self) -> Mapping[str, tuple[str, ...]]:
        known: dict[str, Places] = {}
        for name in self.lake.tables():
            with suppress(InvalidSpec):  # dropped meanwhile
                table = self.lake.load(name)
                known[name] = places(table.location(), table.properties)
        return neighbours(known)


def is_ours(table: Table) -> bool:
    """Whether Keystone made the table: landed hours, or dead letters."""
    return is_hourly(table.spec(), table.schema()) or table.name()[0] == DEAD_LETTER_NAMESPACE


@dataclass
class _Work:
    """The upkeep of one table while it goes on: what was done before an error is told as well."""

    by: Upkeep
    name: str
    order: Order
    only_ours: bool
    removed: list[Removal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: KeystoneError | None = None

    def run(self, shared: Collection[str]) -> None:
        table = self.by.lake.load(self.name)
        if self.only_ours and not is_ours(table):
            self.notes.append("left alone: it is not Keystone's; name it to have it kept up")
            return
        if self.order.wants("retention") and (retention := self.by.retention.get(self.name)):
            self._drop(table, retention)
        deleting = [task for task in self.order.tasks if task != "retention"]
        if deleting and not may_collect(table.metadata):
            self.notes.append(f"left alone: its property {COLLECTING} is false")
            return
        for task in deleting:
            self._steps[task](table, shared)

    @property
    def _steps(self) -> Mapping[Task, Callable[[Table, Collection[str]], None]]:
        return {"snapshots": self._expire, "orphans": self._orphans, "uploads": self._uploads}

    @property
    def _now(self) -> datetime:
        return self.by.clock.now()

    def _drop(self, table: Table, retention: Retention) -> None:
        dropped = drop_hours(table, retention.keep_days, retention.topics, self._now, dry_run=self.order.dry_run)
        self.removed += dropped.removals()

    def _expire(self, table: Table, _: Collection[str]) -> None:
        while True:
            done = expire(table, self.by.objects, self._now, self.order)
            self.removed += done.removals()
            if self.order.dry_run or not done.snapshots:
                return

    def _orphans(self, table: Table, shared: Collection[str]) -> None:
        if shared:
            self.notes.append(f"orphans left alone: its folders are also those of {', '.join(shared)}")
            return
        orphans = find_orphans(table, self.by.objects, self._now, self.order.safe_age)
        if not self.order.dry_run:
            self.by.objects.delete(each.uri for each in orphans.found)
        self.removed += orphans.removals()

    def _uploads(self, table: Table, _: Collection[str]) -> None:
        where = places(table.location(), table.properties)
        uploads = find_uploads(where, self.by.objects, self._now - self.order.safe_age)
        if not self.order.dry_run:
            for upload in uploads:
                self.by.objects.abort(upload)
        self.removed += removals(uploads)
