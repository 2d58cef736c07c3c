"""Compares what is in a topic or a table with the synthetic events that must be there: a seed and a count tell all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import duckdb
import pyarrow as pa

from keystone_platform import envelope
from keystone_platform.audit.columns import column_sql, quoted
from keystone_platform.audit.expectation import Fate, Judge
from keystone_platform.audit.records import Record, header_text, read_records
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.kafka_clusters import connect_kafka
from keystone_platform.plan.router_plan import METADATA_COLUMNS, RAW_COLUMN, RouterPlan, WarehouseTarget
from keystone_platform.query.session import open_session, translated
from keystone_platform.settings import Settings
from keystone_platform.spec.models import StreamSpec
from keystone_platform.synthetic.events import Mix, guid_prefix, synthetic_events

BATCH = 10_000

_TABLES = """
CREATE TEMP TABLE expected (guid VARCHAR, is_kept BOOLEAN, mark UBIGINT);
CREATE TEMP TABLE found (guid VARCHAR, mark UBIGINT);
"""

_COUNTS = """
WITH once AS (SELECT guid, min(mark) AS low, max(mark) AS high FROM found GROUP BY guid),
     wanted AS (SELECT * FROM expected WHERE is_kept)
SELECT (SELECT count(*) FROM wanted),
    (SELECT count(*) FROM once),
    (SELECT count(*) FROM wanted ANTI JOIN once USING (guid)),
    (SELECT count(*) FROM once ANTI JOIN wanted USING (guid)),
    (SELECT count(*) FROM once JOIN wanted USING (guid) WHERE low <> mark OR high <> mark),
    (SELECT count(*) FROM found) - (SELECT count(*) FROM once)
"""


@dataclass(frozen=True)
class Check:
    """How what was found differs from what must be there. Other events than this seed's are not looked at.

    Attributes:
        place: the topic or table.
        expected: events that must be in it: of a table those that its route keeps.
        found: of this seed and mix, each counted once.
        missing: must be there and are not.
        extra: are there and must not: beyond the count, or such as the route drops.
        changed: are there with another payload, or with other values in a column.
        doubled: further copies of what is there.
    """

    place: str
    expected: int
    found: int
    missing: int
    extra: int
    changed: int
    doubled: int

    @property
    def is_exact(self) -> bool:
        """Whether exactly what must be there is there."""
        return not (self.missing or self.extra or self.changed or self.doubled)


def check_topic(settings: Settings, stream: StreamSpec, mix: Mix, count: int) -> Check:
    """Compare the payloads in the stream's topics, byte for byte, with the first `count` events.

    Reads its topic on each of its clusters, whole, and holds some 100 bytes an event.

    Raises:
        Transient, Terminal: Kafka does not answer, or refuses.
    """
    prefix = guid_prefix(stream, mix)
    with duckdb.connect() as session:
        session.execute(_TABLES)
        for records in _made(stream, mix, count):
            _add(session, "expected", "guid, true, hash(payload)", _payloads(records))
        kafka = connect_kafka(settings)
        lives = kafka.clusters.of(stream)
        for topic in [lives.topic_on(each.name, stream.topic_name) for each in lives.all]:
            for records in read_records(kafka.properties, topic, kafka.offsets(topic)):
                ours = [each for each in records if (header_text(each, envelope.CE_ID) or "").startswith(prefix)]
                _add(session, "found", "guid, hash(payload)", _payloads(ours))
        return _check(session, stream.topic_name)


def check_table(settings: Settings, plan: RouterPlan, stream: StreamSpec, mix: Mix, count: int) -> Check:
    """Compare the rows in the table of a warehouse route with what the first `count` events must become.

    Each event is judged by the route's filter and projection without Flink, by the decoder of audits. Rows that land
    meanwhile may be missed. Holds some 100 bytes an event.

    Raises:
        InvalidSpec: there is no such table yet, or the route is none into a table.
        Transient, Terminal: catalog or object store do not answer, or refuse.
    """
    target = plan.target
    if not isinstance(target, WarehouseTarget):
        message = f"{plan.route} is no route into a table"
        raise InvalidSpec(message, mend="Only tables are compared.")
    judge = Judge(plan)
    with open_session(settings, [target.table]) as session, translated(settings.s3):
        session.execute(_TABLES)
        described = session.execute(f"SELECT * FROM {target.table} LIMIT 0").description or ()
        columns = [(each[0], str(each[1])) for each in described if each[0] not in METADATA_COLUMNS]
        selected = {column.name: column_sql(column) for column in plan.columns}
        if plan.source.raw:
            selected[RAW_COLUMN] = quoted(RAW_COLUMN)
        wanted = ", ".join(f"CAST({selected.get(name, 'NULL')} AS {kind})" for name, kind in columns)
        for records in _made(stream, mix, count):
            events = judge.events(records)
            if plan.source.raw:
                events = events.append_column(RAW_COLUMN, pa.array([each.value for each in records], pa.binary()))
            _add(session, "expected", f"_guid, {judge.fate} = '{Fate.KEPT}', hash({wanted})", events)
        landed = ", ".join(quoted(name) for name, _ in columns)
        session.execute(
            f"INSERT INTO found SELECT _guid, hash({landed}) FROM {target.table} WHERE starts_with(_guid, ?)",
            [guid_prefix(stream, mix)],
        )
        return _check(session, target.table)


def _made(stream: StreamSpec, mix: Mix, count: int) -> Iterator[Sequence[Record]]:
    """Yield the events as records, in batches."""
    events = islice(synthetic_events(stream, mix), count)
    while batch := list(islice(events, BATCH)):
        yield [
            Record(0, event.number, event.payload, {envelope.CE_ID: event.guid.encode()}, event.key) for event in batch
        ]


def _payloads(records: Sequence[Record]) -> pa.Table:
    guids = pa.array([header_text(each, envelope.CE_ID) for each in records], pa.string())
    return pa.table({"guid": guids, "payload": pa.array([each.value for each in records], pa.binary())})


def _add(session: duckdb.DuckDBPyConnection, table: str, columns: str, batch: pa.Table) -> None:
    session.register("batch", batch)
    session.execute(f"INSERT INTO {table} SELECT {columns} FROM batch")
    session.unregister("batch")


def _check(session: duckdb.DuckDBPyConnection, place: str) -> Check:
    (counts,) = session.execute(_COUNTS).fetchall()
    return Check(place, *counts)
