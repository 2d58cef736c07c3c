"""The warehouse's tables: created and evolved here, through one Iceberg catalog that Flink and DuckDB read as well."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Protocol

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.table import Table
from sqlalchemy.exc import IntegrityError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.catalog_errors import translated
from keystone_platform.gateways.catalog_properties import catalog_properties
from keystone_platform.gateways.iceberg_files import Changes, HourTotals, changes_since, from_millis, totals_by_hour
from keystone_platform.gateways.iceberg_schema import TABLE_PROPERTIES, hourly, is_hourly, table_schema
from keystone_platform.gateways.iceberg_snapshots import FLINK_CHECKPOINT_ID, FLINK_JOB_ID, Proven, proven
from keystone_platform.gateways.landed_ends import next_offsets
from keystone_platform.gateways.table_evolution import TableEvolution, apply_evolution, table_evolution
from keystone_platform.plan.column_effect import ColumnEffect
from keystone_platform.plan.recovery import NextOffsets
from keystone_platform.plan.router_plan import RouterPlan, WarehouseTarget
from keystone_platform.settings import Settings

CATALOG_NAME = "keystone"
"""The catalog's name. A SQL catalog keeps it in each row, so every client (Flink, pyiceberg) has to use this one."""

EVOLUTION_ATTEMPTS = 5

PROMPT_S3 = {"s3.connect-timeout": "5", "s3.request-timeout": "30"}
"""Seconds; a client waits no longer for an S3 that does not answer. The settings' own values win."""

SOUND_CONNECTIONS = {"pool_pre_ping": "true"}
"""A SQL catalog looks whether a pooled connection is alive before it uses it: its server may have been restarted."""


@dataclass(frozen=True)
class TableChange:
    """What `ensure_table` did; all empty when the table was right already.

    Attributes:
        added: columns added, `path type`.
        widened: columns whose type became wider.
        renamed: columns with the name that they had, `name (was old)`.
        dropped: columns that are gone.
    """

    table: str
    created: bool
    added: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def is_change(self) -> bool:
        """Whether anything was touched."""
        return self.created or bool(self.added or self.widened or self.renamed or self.dropped)


@dataclass(frozen=True)
class Head:
    """A table's newest state.

    Attributes:
        metadata_location: URI of the metadata file, which any Iceberg reader can open.
        snapshot_id: None before the first commit.
        committed_at: when that snapshot was committed.
        proven: how far its hours are proven; None when nothing is yet.
    """

    table: str
    location: str
    metadata_location: str
    snapshot_id: int | None
    committed_at: datetime | None
    rows: int
    files: int
    bytes: int
    proven: Proven | None = None


class Lake(Protocol):
    """The warehouse's tables, each named `namespace.table`.

    Every method blocks for a few requests to the catalog and the object store. Transient when one of them does not
    answer, Terminal when one of them refuses.
    """

    def ensure_table(self, plan: RouterPlan) -> TableChange:
        """Create or evolve the table of a warehouse plan so that a router may write to it; harmless to repeat.

        New columns are added, types widened (int to bigint, float to double), columns renamed and dropped as the plan
        says; another column that the plan no longer has stays. A column that the plan calls by a former name gets that
        name back. Two callers at once are fine. Raises InvalidSpec when a column can't become what the plan wants, or
        when a table of that name is not Keystone's; then nothing is touched.
        """
        ...

    def column_effects(self, plan: RouterPlan) -> tuple[ColumnEffect, ...]:
        """Return what `ensure_table` would do to an existing table's columns, and what it would refuse.

        Touches nothing. Empty without such a table. Raises InvalidSpec when the table is not Keystone's.
        """
        ...

    def tables(self) -> tuple[str, ...]:
        """Return the names of all tables, sorted."""
        ...

    def head(self, table: str) -> Head | None:
        """Return the table's newest state, or None when there is no such table."""
        ...

    def hours(self, table: str, only: Collection[datetime | None] | None = None) -> tuple[HourTotals, ...]:
        """Return the totals of each hour that has files, or of `only` those hours; read from metadata, never data."""
        ...

    def committed_checkpoint(self, table: str, job_id: str) -> int | None:
        """Return the newest checkpoint of that Flink job that the table's snapshots tell of; None when none does."""
        ...

    def next_offsets(self, table: str, topics: Collection[str]) -> NextOffsets:
        """Return up to where the table holds these topics' events (see `landed_ends`); empty without such a table."""
        ...

    def changes_since(self, table: str, snapshot_id: int | None) -> Changes:
        """Return which hours changed after that snapshot; see Changes for an expired one."""
        ...


class IcebergLake:
    """A Lake on the catalog of the settings; connects on first use."""

    def __init__(self, settings: Settings) -> None:
        self._properties = dict(settings.catalog)

    @cached_property
    def catalog(self) -> Catalog:
        """The pyiceberg catalog, for upkeep that goes beyond this Protocol."""
        properties = {**PROMPT_S3, **SOUND_CONNECTIONS, **catalog_properties(self._properties)}
        name = properties.pop("name", CATALOG_NAME)
        with self.translated():
            if properties["type"] == "rest":
                from keystone_platform.gateways.rest_catalog import PromptRestCatalog

                return PromptRestCatalog(name, **properties)
            return load_catalog(name, **properties)

    def ensure_table(self, plan: RouterPlan) -> TableChange:
        if not isinstance(plan.target, WarehouseTarget):
            message = f"route {plan.route} has no table"
            raise InvalidSpec(message, mend="Only a warehouse route has one.")
        with self.translated():
            return self._ensure(plan, plan.target)

    def column_effects(self, plan: RouterPlan) -> tuple[ColumnEffect, ...]:
        if isinstance(plan.target, WarehouseTarget):
            with self.translated(), suppress(NoSuchTableError):
                return _evolution_of(self.catalog.load_table(plan.target.table), plan, plan.target).effects
        return ()

    def tables(self) -> tuple[str, ...]:
        with self.translated():
            found = [
                ".".join(name)
                for namespace in self.catalog.list_namespaces()
                for name in self.catalog.list_tables(namespace)
            ]
        return tuple(sorted(found))

    def head(self, table: str) -> Head | None:
        try:
            loaded = self.load(table)
        except InvalidSpec:
            return None
        return head_of(loaded)

    def hours(self, table: str, only: Collection[datetime | None] | None = None) -> tuple[HourTotals, ...]:
        loaded = self.load(table)
        with self.translated():
            return totals_by_hour(loaded, only)

    def committed_checkpoint(self, table: str, job_id: str) -> int | None:
        snapshots = self.load(table).metadata.snapshots
        summaries = (snapshot.summary.additional_properties for snapshot in snapshots if snapshot.summary)
        ours = [summary for summary in summaries if summary.get(FLINK_JOB_ID) == job_id]
        return max((int(summary.get(FLINK_CHECKPOINT_ID, 0)) for summary in ours), default=None)

    def next_offsets(self, table: str, topics: Collection[str]) -> NextOffsets:
        if self.head(table) is None:
            return {}
        with self.translated():
            return next_offsets(self.load(table), topics)

    def changes_since(self, table: str, snapshot_id: int | None) -> Changes:
        loaded = self.load(table)
        with self.translated():
            return changes_since(loaded, snapshot_id)

    def load(self, table: str) -> Table:
        """Return the pyiceberg table as it is now; InvalidSpec when there is none."""
        with self.translated():
            try:
                return self.catalog.load_table(table)
            except NoSuchTableError as error:
                message = f"no table {table}"
                mend = f"Tables: {', '.join(self.tables()) or 'none yet'}."
                raise InvalidSpec(message, mend=mend) from error

    def ensure_namespace(self, name: str) -> None:
        """Create the namespace unless it exists; of two creators at once both succeed."""
        with suppress(IntegrityError):  # the other one's row is as good
            self.catalog.create_namespace_if_not_exists(name)

    def translated(self) -> AbstractContextManager[None]:
        """Turn what the catalog and the object store raise into the platform's errors; no secret gets into them."""
        return translated(self._properties)

    @retry(
        retry=retry_if_exception_type(CommitFailedException),
        stop=stop_after_attempt(EVOLUTION_ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.1, max=2),
        reraise=True,
    )
    def _ensure(self, plan: RouterPlan, target: WarehouseTarget) -> TableChange:
        try:
            table = self.catalog.load_table(target.table)
        except NoSuchTableError:
            return self._create(plan, target)
        return _evolve(table, plan, target)

    def _create(self, plan: RouterPlan, target: WarehouseTarget) -> TableChange:
        schema, name = table_schema(plan), target.table
        self.ensure_namespace(name.split(".")[0])
        try:
            # a copy: pyiceberg takes the format version out of what it is given
            properties = dict(TABLE_PROPERTIES)
            self.catalog.create_table(name, schema, partition_spec=hourly(schema), properties=properties)
        except TableAlreadyExistsError:  # another creator was faster; its table is as good as ours or gets evolved
            return _evolve(self.catalog.load_table(name), plan, target)
        return TableChange(name, created=True)


def head_of(table: Table) -> Head:
    """Return the state that a loaded table is in."""
    snapshot = table.current_snapshot()
    summary = snapshot.summary.additional_properties if snapshot and snapshot.summary else {}
    return Head(
        table=".".join(table.name()),
        location=table.location(),
        metadata_location=table.metadata_location,
        snapshot_id=snapshot.snapshot_id if snapshot else None,
        committed_at=from_millis(snapshot.timestamp_ms) if snapshot else None,
        rows=int(summary.get("total-records", 0)),
        files=int(summary.get("total-data-files", 0)),
        bytes=int(summary.get("total-files-size", 0)),
        proven=proven(table),
    )


def _evolve(table: Table, plan: RouterPlan, target: WarehouseTarget) -> TableChange:
    needed = _evolution_of(table, plan, target)
    if needed.refused:
        message = f"table {target.table} can't take the route {plan.route}: {'; '.join(map(str, needed.refused))}"
        mend = "Name another table for the new form (the old one stays), or keep the columns as they are."
        raise InvalidSpec(message, field="sink.warehouse.table", mend=mend)
    apply_evolution(table, needed)
    return TableChange(
        target.table,
        created=False,
        added=tuple(map(str, needed.columns.added)),
        widened=tuple(map(str, needed.columns.widened)),
        renamed=tuple(map(str, needed.renamed)),
        dropped=needed.dropped,
    )


def _evolution_of(table: Table, plan: RouterPlan, target: WarehouseTarget) -> TableEvolution:
    """Return what the table lacks for the plan; InvalidSpec when it is not Keystone's."""
    if not is_hourly(table.spec(), table.schema()):
        message = f"table {target.table} exists and is not partitioned by the hour of _time"
        raise InvalidSpec(message, field="sink.warehouse.table", mend="It is not Keystone's: name another table.")
    return table_evolution(table.schema(), table_schema(plan), target, tuple(table.schemas().values()))
