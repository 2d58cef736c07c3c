"""A backfill from request to swap: scope, branch, job, proof, swap. What Dagster's asset and the command line call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pyiceberg.table import Table

from assets.backfill.intent import begin, give_up, unfinished, written
from assets.backfill.job import JobRunner
from assets.backfill.proof import BranchProof, Expected, Tell, expected, prove
from assets.backfill.rows import Survey, landed
from assets.backfill.swap import Swapped, swap, swapped
from keystone_platform.errors import Conflict, InvalidSpec, Terminal, Transient
from keystone_platform.gateways.iceberg_files import hour_of
from keystone_platform.gateways.kafka import Offsets
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.backfill import Backfill, Outline, Request, Span, outline
from keystone_platform.plan.hour_proof import HourProof
from keystone_platform.plan.router_plan import RouterPlan, WarehouseTarget

Prove = Callable[[RouterPlan, Sequence[datetime | None]], Sequence[HourProof]]
"""Proves hours of a route's table after a backfill; None is the hour of rows without a time, which has no proof."""


def unproven(_plan: RouterPlan, _hours: Sequence[datetime | None]) -> Sequence[HourProof]:
    """Prove nothing."""
    return ()


class Topics(Protocol):
    """What of a Kafka cluster a backfill needs: see ConfluentKafka."""

    def offsets(self, topic: str) -> Offsets: ...

    def offsets_at(self, topic: str, *times: datetime) -> tuple[Mapping[int, int], ...]: ...


@dataclass(frozen=True)
class Servers:
    """What a backfill touches.

    Attributes:
        properties: of a Kafka client, for the proof.
        prove: is called after a swap with the hours that it changed.
    """

    lake: IcebergLake
    kafka: Topics
    properties: Mapping[str, str]
    jobs: JobRunner
    prove: Prove = unproven


@dataclass(frozen=True)
class Preview:
    """What a backfill would do.

    Attributes:
        present: rows of the scope that the table has now.
        expected: what the plan makes of the scope's events.
    """

    table: str
    outline: Outline
    present: int
    expected: Expected


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
        InvalidSpec: the route has no table, or there is no such partition.
    """
    table = servers.lake.load(_table_of(plan))
    ends: dict[str, Mapping[int, int]] = {}
    oldest: dict[str, Mapping[int, int]] = {}
    for topic in plan.source.topics:
        reach = servers.kafka.offsets(topic)
        oldest[topic], ends[topic] = reach.begin, reach.end
    committed = servers.lake.next_offsets(_table_of(plan), plan.source.topics)
    settled = {
        topic: {part: min(end, committed.get(topic, {}).get(part, 0)) for part, end in of_topic.items()}
        for topic, of_topic in ends.items()
    }
    with servers.lake.translated():
        wished = request.spans or tuple(_wished(servers, plan, request, ends, table))
    return outline(request.times, wished, oldest, settled)


def preview(servers: Servers, plan: RouterPlan, request: Request, tell: Tell) -> Preview:
    """Return what a backfill would do, without touching anything. Blocks for reading the scope's events."""
    outlined = outline_of(servers, plan, request)
    table = servers.lake.load(_table_of(plan))
    with servers.lake.translated():
        present = sum(share.rows for share in Survey(outlined.scope).shares(table))
    return Preview(_table_of(plan), outlined, present, expected(servers.properties, plan, outlined.scope, tell))


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
        outlined = Outline(scope=earlier.scope)
    else:
        outlined = outline_of(servers, plan, request)
        if not outlined.scope.spans:
            raise _nothing(outlined)
    with servers.lake.translated():
        backfill = earlier or begin(table, key, outlined.scope)
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
        servers.jobs.run(plan, backfill, bool(written(table, backfill)), tell)
        table.refresh()
        files = written(table, backfill)
        proof = prove(servers.properties, plan, backfill.scope, table, files, tell)
        _refuse_unproven(backfill, proof)
        tell(f"swapping {proof.written:,} rows in")
        return swap(table, backfill, files, servers.jobs.clock), proof.expected
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


def _wished(
    servers: Servers, plan: RouterPlan, request: Request, ends: Mapping[str, Mapping[int, int]], table: Table
) -> Iterator[Span]:
    """Yield where the events of the times are: from the first of them on, up to the last that landed or may be late."""
    present = landed(table, request.times)
    bounds = [request.times[0].start, request.times[-1].end + request.late]
    for topic, of_topic in ends.items():
        first, last = servers.kafka.offsets_at(topic, *bounds)
        for partition, end in of_topic.items():
            begin_at, end_at = first.get(partition, end), last.get(partition, end)
            # dead letters come back in the order of their replay: what is of these times may be anywhere behind
            reach = end_at if topic == plan.source.topic else end
            if mine := present.get((topic, partition)):
                begin_at, reach = min(begin_at, mine.begin), max(reach, mine.end)
            if begin_at < min(reach, end):
                yield Span(topic=topic, partition=partition, begin=begin_at, end=min(reach, end))


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


def _nothing(outlined: Outline) -> Terminal:
    if outlined.unsettled:
        message = f"nothing of it is committed by the live router yet ({', '.join(map(str, outlined.unsettled))})"
        return Terminal(message, mend="Wait until the router has landed something newer, then run it again.")
    if outlined.gone:
        message = f"Kafka has deleted all of it ({', '.join(map(str, outlined.gone))})"
        return Terminal(message, mend="Nothing can be replayed; the rows that are there stay.")
    return Terminal("the topic has no events of these times", mend="Look at the times: they are UTC.")


def _table_of(plan: RouterPlan) -> str:
    if not isinstance(plan.target, WarehouseTarget):
        message = f"route {plan.route} has no table"
        raise InvalidSpec(message, mend="Only a warehouse route can be backfilled.")
    return plan.target.table
