"""A backfill from request to swap: scope, branch, job, proof, swap. What Dagster's asset and the command line call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pyiceberg.table import Table

from assets.backfill.events import Events
from assets.backfill.intent import begin, give_up, unfinished, written
from assets.backfill.job import JobRunner
from assets.backfill.kafka_events import KafkaEvents, Topics
from assets.backfill.proof import BranchProof, Expected, Tell, expected, prove
from assets.backfill.rows import Survey
from assets.backfill.swap import Swapped, swap, swapped
from assets.backfill.table_events import TableEvents, newest
from keystone_platform.audit.records import Clients
from keystone_platform.errors import Conflict, InvalidSpec, Terminal, Transient
from keystone_platform.gateways.iceberg_files import hour_of
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.schema_registry import NoRegistry, SchemaRegistry
from keystone_platform.plan.backfill import KAFKA, Backfill, EventSource, Outline, Request, TableSnapshot
from keystone_platform.plan.hour_proof import HourProof
from keystone_platform.plan.router_plan import RouterPlan, WarehouseTarget

Prove = Callable[[RouterPlan, Sequence[datetime | None]], Sequence[HourProof]]
"""Proves hours of a route's table after a backfill; None is the hour of rows without a time, which has no proof."""


def unproven(_plan: RouterPlan, _hours: Sequence[datetime | None]) -> Sequence[HourProof]:
    """Prove nothing."""
    return ()


@dataclass(frozen=True)
class Servers:
    """What a backfill touches.

    Attributes:
        properties: of a Kafka client, by topic, for the proof.
        prove: is called after a swap with the hours that it changed.
        registry: of the writers' schemas, for streams in Avro and Protobuf.
    """

    lake: IcebergLake
    kafka: Topics
    properties: Clients
    jobs: JobRunner
    prove: Prove = unproven
    registry: SchemaRegistry = field(default_factory=NoRegistry)

    def events(self, plan: RouterPlan, source: EventSource) -> Events:
        """Return the route's events at the source; see TableEvents.at for what may be wrong with a table."""
        if isinstance(source, TableSnapshot):
            return TableEvents.at(source, self.lake.load(source.table), plan)
        return KafkaEvents(self.kafka, self.properties, plan)


@dataclass(frozen=True)
class Preview:
    """What a backfill would do.

    Attributes:
        present: rows of the scope that the table has now and that would be replaced.
        expected: what the plan makes of the scope's events.
        kept: rows of the scope that would stay, since the source does not hold their events.
    """

    table: str
    outline: Outline
    present: int
    expected: Expected
    kept: int = 0


@dataclass(frozen=True)
class BackfillReport:
    """What a backfill did.

    Attributes:
        branch: its identity.
        swapped: rows that left and came, and the commit.
        expected: what the plan makes of the scope's events: as many rows as came. None where an earlier run swapped.
        hours: whose rows changed.
        resumed: whether it went on with what an earlier run had begun.
        proofs: of these hours, made after the swap; none where Kafka or the ledger did not answer.
    """

    table: str
    branch: str
    outline: Outline
    swapped: Swapped
    expected: Expected | None
    hours: tuple[datetime | None, ...]
    resumed: bool
    proofs: tuple[HourProof, ...] = ()


def outline_of(servers: Servers, plan: RouterPlan, request: Request) -> Outline:
    """Return what of the request can be replaced now, and what not.

    What the table does not show to be committed is left out: the live router may have read it and not committed yet,
    and its rows would land a second time.

    Raises:
        InvalidSpec: the route has no table, there is no such partition, or no such raw table.
    """
    events, table = _asked_for(servers, plan, request), servers.lake.load(_table_of(plan))
    committed = servers.lake.next_offsets(_table_of(plan), plan.source.topics)
    with servers.lake.translated():
        return events.outline(request, table, committed)


def preview(servers: Servers, plan: RouterPlan, request: Request, tell: Tell) -> Preview:
    """Return what a backfill would do, without touching anything. Blocks for reading the scope's events."""
    outlined = outline_of(servers, plan, request)
    events, table = servers.events(plan, outlined.source), servers.lake.load(_table_of(plan))
    with servers.lake.translated():
        wanted, held = expected(events, plan, outlined.scope, servers.registry, tell)
        survey = Survey(outlined.scope, held)
        present = sum(share.rows for share in survey.shares(table))
        return Preview(_table_of(plan), outlined, present, wanted, survey.kept(table))


def run(servers: Servers, plan: RouterPlan, request: Request, tell: Tell) -> BackfillReport:
    """Replace the rows of the request by what the plan makes of its events now.

    Readers see the old rows or the new ones, never both and never neither. The live router goes on. Asked again after a
    crash it goes on where it was. Blocks for a Flink job and for reading the events once more.

    Raises:
        Terminal: there is nothing to replay; the job failed, or its rows are not those expected. Nothing was changed.
        Transient, UnknownOutcome, Conflict: run it again.
    """
    servers.lake.ensure_table(plan)
    table = servers.lake.load(_table_of(plan))
    key = request.key(plan.digest)
    earlier = unfinished(table).get(key)
    if earlier:
        tell(f"going on with {earlier.branch}")
        outlined = Outline(scope=earlier.scope, source=earlier.source)
    else:
        outlined = outline_of(servers, plan, request)
        if not outlined.scope.spans:
            raise servers.events(plan, outlined.source).nothing(outlined)
    with servers.lake.translated():
        backfill = earlier or begin(table, key, outlined.scope, outlined.source)
        done, counted = _swap(servers, plan, backfill, table, tell)
        hours = _changed(table, done)
    proofs: tuple[HourProof, ...] = ()
    try:
        tell(f"proving {len(hours):,} hours")
        proofs = tuple(servers.prove(plan, hours))
    except Transient as error:  # the rows are right, see _refuse_unproven; the proof sensor makes up for it
        tell(f"the hours are not proven yet: {error}")
    resumed = earlier is not None
    return BackfillReport(_table_of(plan), backfill.branch, outlined, done, counted, hours, resumed, proofs)


def _swap(
    servers: Servers, plan: RouterPlan, backfill: Backfill, table: Table, tell: Tell
) -> tuple[Swapped, Expected | None]:
    """Run the job, prove its branch and swap it in; whatever fails for good takes the branch away again."""
    table.refresh()
    try:
        if (done := swapped(table, backfill)) is not None:
            return done, None
        events = servers.events(plan, backfill.source)
        servers.jobs.run(plan, backfill, bool(written(table, backfill)), tell)
        table.refresh()
        files = written(table, backfill)
        proof = prove(events, plan, backfill.scope, table, files, servers.registry, tell)
        _refuse_unproven(backfill, proof)
        tell(f"swapping {proof.written:,} rows in")
        return swap(table, backfill, files, servers.jobs.clock, proof.held), proof.expected
    except (Terminal, Conflict):
        abandon(servers, table, backfill)
        raise


def abandon(servers: Servers, table: Table, backfill: Backfill) -> None:
    """End a backfill that was not swapped in: its job, then its branch. The table's rows stay as they are."""
    servers.jobs.end(backfill)
    give_up(table, backfill)


def _refuse_unproven(backfill: Backfill, proof: BranchProof) -> None:
    if not proof.holds:
        message = f"{backfill.branch} is not what the plan makes of its events, so nothing was changed: {proof}"
        raise Terminal(message, mend="Run it again; if it stays so, keep the topic and report it.")


def _changed(table: Table, done: Swapped) -> tuple[datetime | None, ...]:
    """Return the hours whose files the swap took or put, in order."""
    table.refresh()
    snapshot = table.snapshot_by_id(done.snapshot_id) if done.snapshot_id else None
    manifests = snapshot.manifests(table.io) if snapshot else []
    hours = {
        hour_of(entry.data_file)
        for manifest in manifests
        if manifest.added_snapshot_id == done.snapshot_id
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)
        if entry.snapshot_id == done.snapshot_id
    }
    return (*sorted(hour for hour in hours if hour is not None), *([None] if None in hours else []))


def _asked_for(servers: Servers, plan: RouterPlan, request: Request) -> Events:
    """Return the events where the request wants them read; of a table as it is now."""
    if request.from_table is None:
        return servers.events(plan, KAFKA)
    raw = servers.lake.load(request.from_table)
    return TableEvents.at(newest(raw), raw, plan)


def _table_of(plan: RouterPlan) -> str:
    if not isinstance(plan.target, WarehouseTarget):
        message = f"route {plan.route} has no table"
        raise InvalidSpec(message, mend="Only a warehouse route can be backfilled.")
    return plan.target.table
