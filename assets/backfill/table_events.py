"""The events of a backfill in a raw table: payloads as they came, one snapshot's."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.types import BinaryType

from assets.backfill.events import bounded
from assets.backfill.rows import COLUMNS, OFFSET, PARTITION, TIME, TOPIC, batches, in_scope, landed, may_hold
from keystone_platform.audit.records import Record
from keystone_platform.errors import InvalidSpec, Terminal
from keystone_platform.gateways.iceberg_files import live_entries
from keystone_platform.gateways.landed_ends import next_offsets
from keystone_platform.plan.backfill import Outline, Request, Scope, Span, TableSnapshot, hours_of, outline
from keystone_platform.plan.recovery import NextOffsets
from keystone_platform.plan.router_plan import METADATA_COLUMNS, RAW_COLUMN, RouterPlan

BATCH_ROWS = 4_096
"""Payloads that the proof holds at a time: of 10 MB at most, and of a kilobyte as a rule."""

_DELETES = "total-delete-files"


def newest(table: Table) -> TableSnapshot:
    """Return the table's present snapshot.

    Raises:
        InvalidSpec: nothing ever landed there.
    """
    head, name = table.current_snapshot(), ".".join(table.name())
    if head is None:
        message = f"{name} has no rows"
        raise InvalidSpec(message, mend="Let its router land something first.")
    return TableSnapshot(table=name, snapshot_id=head.snapshot_id)


@dataclass(frozen=True)
class TableEvents:
    """A route's events in a raw table; see Events. What the table has no payload of, it does not hold.

    Attributes:
        raw: the table with the snapshot as its current one; see `at`.
    """

    raw: Table
    plan: RouterPlan
    source: TableSnapshot
    lacks_none: bool = False

    @classmethod
    def at(cls, source: TableSnapshot, table: Table, plan: RouterPlan) -> TableEvents:
        """Return the events of the source.

        Raises:
            InvalidSpec: the table has no payloads.
            Terminal: the snapshot has expired, or holds deletes beside its files.
        """
        _refuse_without_payloads(table)
        snapshot = table.snapshot_by_id(source.snapshot_id)
        if snapshot is None:
            message = f"{source} has expired"
            raise Terminal(message, mend="Run the backfill again: it begins anew with the newest one.")
        if snapshot.summary and snapshot.summary.additional_properties.get(_DELETES, "0") != "0":
            message = f"{source} has files of deletes, which only some readers know"
            raise Terminal(message, mend="Rewrite the table's files without them first.")
        pinned = copy.copy(table)
        pinned.metadata = table.metadata.model_copy(update={"current_snapshot_id": source.snapshot_id})
        return cls(pinned, plan, source)

    def outline(self, request: Request, table: Table, committed: NextOffsets) -> Outline:
        topics = self.plan.source.topics
        ends = next_offsets(self.raw, topics)
        wished = request.spans or tuple(self._wished(request, table, ends))
        # what upkeep or a person deleted is not there to be told: the proof finds which events are
        oldest = {topic: {span.partition: 0 for span in wished if span.topic == topic} for topic in topics}
        return outline(request.times, wished, oldest, bounded(ends, committed), self.source)

    def records(self, scope: Scope) -> Iterator[tuple[str, Sequence[Record]]]:
        for file in self._files(scope):
            for batch in batches(self.raw, file, [RAW_COLUMN, *COLUMNS], BATCH_ROWS):
                held = pc.and_(in_scope(batch, scope), pc.is_valid(batch.column(RAW_COLUMN)))
                yield from _by_topic(batch.filter(held))

    def nothing(self, outlined: Outline) -> Terminal:
        if outlined.unsettled:
            left = ", ".join(map(str, outlined.unsettled))
            message = f"nothing of it is both in {self.source} and committed by the live router ({left})"
            return Terminal(message, mend="Wait until both routers have landed something newer, then run it again.")
        message = f"{self.source} holds no events of {' or '.join(self.plan.source.topics)} of these times"
        return Terminal(message, mend="Look at the times: they are UTC. The rows that are there stay.")

    def _wished(self, request: Request, table: Table, ends: NextOffsets) -> Iterator[Span]:
        """Yield where the raw table has rows of the times, and the route's own table too: it may be ahead."""
        here, there = landed(self.raw, request.times), landed(table, request.times)
        for topic, partition in sorted(here.keys() | there.keys()):
            if topic in ends:
                spans = [each[topic, partition] for each in (here, there) if (topic, partition) in each]
                reach = {"begin": min(span.begin for span in spans), "end": max(span.end for span in spans)}
                yield Span(topic=topic, partition=partition, **reach)

    def _files(self, scope: Scope) -> Iterator[DataFile]:
        entries = live_entries(self.raw, hours_of(scope) or None)
        return (each.data_file for each in entries if may_hold(each.data_file, scope, self.raw.schema()))


def _by_topic(rows: pa.RecordBatch) -> Iterator[tuple[str, list[Record]]]:
    topics = rows.column(TOPIC)
    for topic in pc.unique(topics).to_pylist():
        mine = rows.filter(pc.equal(topics, topic))
        places = (mine.column(name).to_pylist() for name in (PARTITION, OFFSET, RAW_COLUMN))
        millis = [time and time // 1000 for time in mine.column(TIME).cast(pa.int64()).to_pylist()]
        yield (
            topic,
            [
                Record(partition, offset, payload, {}, timestamp_ms=time)
                for partition, offset, payload, time in zip(*places, millis, strict=True)
            ],
        )


def _refuse_without_payloads(table: Table) -> None:
    types = {field.name: field.field_type for field in table.schema().fields}
    if not isinstance(types.get(RAW_COLUMN), BinaryType) or not types.keys() >= set(METADATA_COLUMNS):
        message = f"{'.'.join(table.name())} is no raw table: it has no payloads ({RAW_COLUMN}) with their identity"
        raise InvalidSpec(message, mend="Name the table of a route that is declared `raw: true`.")
