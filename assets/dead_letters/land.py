"""Lands a stream's dead letters: exactly once, in batches, from where the table says that it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.table import Table

from assets.dead_letters.table import (
    PROPERTIES,
    SCHEMA,
    next_offsets,
    offset_properties,
    rows,
    table_name,
)
from keystone_platform.audit.records import Clients, Record, read_records
from keystone_platform.dead_letters.letter import DeadLetter, read_letter
from keystone_platform.errors import Conflict
from keystone_platform.gateways.kafka import KafkaGateway, Offsets
from keystone_platform.gateways.lake import IcebergLake

BATCH_RECORDS = 20_000
BATCH_BYTES = 64 * 1024 * 1024
"""A commit takes so many letters, or bytes of payload, at most; the last record may exceed it."""


@dataclass(frozen=True)
class Landing:
    """What one landing did.

    Attributes:
        letters: rows that were added.
        strangers: records that no router wrote.
        gap: offsets that were deleted from the topic before they were landed.
        next_offsets: by partition, where the next landing begins.
    """

    table: str
    letters: int
    strangers: int
    gap: int
    next_offsets: Mapping[int, int]


def land(
    lake: IcebergLake,
    gateway: KafkaGateway,
    kafka: Clients,
    stream: str,
    topic: str,
    cluster: str | None = None,
) -> Landing:
    """Land the letters up to where the topic ends now; makes the table when there is something to put into it.

    `cluster` is the name of the standby cluster that the topic is on; None for the primary. A topic that is shorter
    than the table knows was made anew: it is landed from its beginning.

    Raises:
        Conflict: another landing of the stream was faster; what it did counts.
        Transient, Terminal: Kafka, catalog or object store do not answer, or refuse.
    """
    name = table_name(stream)
    offsets = gateway.offsets(topic)
    if not offsets.span:
        return Landing(name, 0, 0, 0, offsets.end)
    with lake.translated():
        writer = _Writer(_table(lake, name), topic, cluster)
        span, gap = _unread(offsets, writer.reached)
        for records in read_records(kafka, topic, span):
            for record in records:
                writer.add(record)
        writer.commit(span.end)
    return Landing(name, writer.letters, writer.strangers, gap, writer.reached)


def _unread(topic: Offsets, reached: Mapping[int, int]) -> tuple[Offsets, int]:
    """Return the part of the topic that is not landed, and how many offsets of it are gone."""
    begin, gap = {}, 0
    for part, oldest in topic.begin.items():
        known = reached.get(part, 0)
        begin[part] = oldest if known > topic.end[part] else max(known, oldest)
        gap += begin[part] - known if begin[part] > known else 0
    return Offsets(begin=begin, end=topic.end), gap


class _Writer:
    """Appends letters to the table; each commit also says how far the topic is landed by it."""

    def __init__(self, table: Table, topic: str, cluster: str | None) -> None:
        self._table = table
        self._cluster = cluster
        self._topic = topic
        self._batch: list[DeadLetter] = []
        self._bytes = 0
        self.letters = 0
        self.strangers = 0
        self.reached = next_offsets(table.properties, cluster)

    def add(self, record: Record) -> None:
        """Take a record; commits when the batch is full."""
        letter = read_letter(self._topic, record)
        if letter is None:
            self.strangers += 1
        else:
            self._batch.append(letter)
            self._bytes += len(record.value or b"")
        self.reached[record.partition] = record.offset + 1
        if len(self._batch) >= BATCH_RECORDS or self._bytes >= BATCH_BYTES:
            self.commit({})

    def commit(self, reached: Mapping[int, int]) -> None:
        """Commit what was taken, and that the topic is landed up to what was taken or to `reached`."""
        self.reached.update(reached)
        if self.reached == next_offsets(self._table.properties, self._cluster):
            return
        told = offset_properties(self.reached, self._cluster)
        try:
            with self._table.transaction() as transaction:
                transaction.set_properties(told)
                if self._batch:
                    transaction.append(rows(self._batch), snapshot_properties=told)
        except CommitFailedException as error:
            message = f"another landing of {self._topic} was faster"
            raise Conflict(message, mend="What it landed counts; land again.") from error
        self.letters += len(self._batch)
        self._batch, self._bytes = [], 0


def _table(lake: IcebergLake, name: str) -> Table:
    try:
        return lake.catalog.load_table(name)
    except NoSuchTableError:
        lake.ensure_namespace(name.split(".", 1)[0])
    try:
        return lake.catalog.create_table(name, SCHEMA, properties=dict(PROPERTIES))
    except TableAlreadyExistsError:  # another landing made it in the same moment
        return lake.catalog.load_table(name)
