"""What a router should do with each event, found without Flink: a second decoder, and the filter in DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import duckdb
import pyarrow as pa

from keystone_platform import envelope
from keystone_platform.audit.decode import Decoder
from keystone_platform.audit.framed import FramedDecoder
from keystone_platform.audit.parse import Dead, Reason
from keystone_platform.audit.passed_on import PassedOn
from keystone_platform.audit.records import Record, header_text
from keystone_platform.gateways.schema_registry import NoRegistry, SchemaRegistry
from keystone_platform.plan.router_plan import KafkaTarget, RouterPlan, Source, WarehouseTarget


class Fate(StrEnum):
    """What should become of an event."""

    KEPT = "kept"
    FILTERED = "filtered"
    DEAD = "dead"


def create_expected(session: duckdb.DuckDBPyConnection) -> None:
    """Create the table `expected` in the session: one row an event."""
    columns = 'topic VARCHAR, part INTEGER, "offset" BIGINT, guid VARCHAR, fate VARCHAR, mark UBIGINT'
    session.execute(f"CREATE TABLE expected ({columns})")


class Judge:
    """Decides what should become of a route's events, whatever asks: decodes them, and says their fate in DuckDB SQL.

    Args:
        plan: the route's.
        registry: of the writers' schemas, for streams in Avro and Protobuf.

    Attributes:
        condition: the filter over the columns of `events`; null keeps nothing, as in SQL.
        fate: the Fate over the same columns.
    """

    def __init__(self, plan: RouterPlan, registry: SchemaRegistry | None = None) -> None:
        self._decoder = None if plan.source.raw else _decoder(plan.source, registry or NoRegistry())
        self._writes_headers = not isinstance(plan.target, WarehouseTarget)
        self.condition = plan.filter.duckdb if plan.filter else "true"
        self.fate = (
            f"CASE WHEN _dead IS NOT NULL THEN '{Fate.DEAD}'"
            f" WHEN ({self.condition}) THEN '{Fate.KEPT}' ELSE '{Fate.FILTERED}' END"
        )

    def events(self, records: Sequence[Record]) -> pa.Table:
        """Return a row a record: _partition, _offset, _guid, _dead (the reason, or null) and the source's columns."""
        identity = {
            "_partition": pa.array([record.partition for record in records], pa.int32()),
            "_offset": pa.array([record.offset for record in records], pa.int64()),
            "_guid": pa.array([header_text(record, envelope.CE_ID) for record in records], pa.string()),
        }
        if self._decoder is None:
            dead = [str(Reason.TOO_LARGE) if self._is_too_large(record) else None for record in records]
            return pa.table({**identity, "_dead": pa.array(dead, pa.string())})
        decode = self._decoder.decode
        decoded = [Dead(Reason.TOO_LARGE) if self._is_too_large(each) else decode(each.value) for each in records]
        reasons = [str(value) if isinstance(value, Dead) else None for value in decoded]
        good = [None if isinstance(value, Dead) else value for value in decoded]
        values = pa.array(good, self._decoder.type)
        fields = dict(zip((field.name for field in self._decoder.type), values.flatten(), strict=True))
        return pa.table({**identity, "_dead": pa.array(reasons, pa.string()), **fields})

    def _is_too_large(self, record: Record) -> bool:
        if len(record.key or b"") + len(record.value or b"") > envelope.MAX_EVENT_BYTES:
            return True
        headers = sum(len(name) + len(value or b"") for name, value in record.headers.items())
        return self._writes_headers and headers > envelope.MAX_HEADERS_BYTES


def _decoder(source: Source, registry: SchemaRegistry) -> Decoder | FramedDecoder:
    nulled = source.null_on_type_error or ()
    if source.format is None:
        return Decoder(source.columns, nulled)
    return FramedDecoder(source.columns, nulled, source.format, registry)


class Expectation:
    """Fills the table `expected` of a session, batch by batch, for one route; see Judge."""

    def __init__(
        self, session: duckdb.DuckDBPyConnection, plan: RouterPlan, registry: SchemaRegistry | None = None
    ) -> None:
        self._session = session
        self._judge = Judge(plan, registry)
        self._passed_on = PassedOn(plan, plan.target) if isinstance(plan.target, KafkaTarget) else None

    def add(self, topic: str, records: Sequence[Record]) -> None:
        """Decide the fate of these events of the topic."""
        events, mark = self._judge.events(records), "NULL"
        if self._passed_on:
            events, mark = self._passed_on.columns(events, records), self._passed_on.expected
        self._session.register("batch", events)
        columns = f"_partition, _offset, _guid, {self._judge.fate}, {mark}"
        self._session.execute(f"INSERT INTO expected SELECT ?, {columns} FROM batch", [topic])
        self._session.unregister("batch")
