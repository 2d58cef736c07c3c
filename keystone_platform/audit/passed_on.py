"""What a Kafka route should make of an event and what is in its topic, each told by one number to compare them by."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from keystone_platform import envelope
from keystone_platform.audit.columns import column_sql, field_sql, quoted
from keystone_platform.audit.decode import Decoder
from keystone_platform.audit.parse import Dead
from keystone_platform.audit.records import Record, header_text
from keystone_platform.plan.router_plan import KafkaTarget, RouterPlan
from keystone_platform.spec.types import Field

MATCH = """
INSERT INTO landed
WITH want AS (
        SELECT topic, part, "offset", mark, row_number() OVER same - 1 AS nth,
               count(*) OVER (PARTITION BY mark) AS copies
        FROM expected WHERE fate = 'kept' WINDOW same AS (PARTITION BY mark ORDER BY topic, part, "offset")),
     have AS (SELECT guid, mark, row_number() OVER (PARTITION BY mark) - 1 AS nth FROM found)
SELECT want.topic, want.part, want."offset" FROM have
JOIN want ON have.mark = want.mark AND want.nth = have.nth % want.copies
UNION ALL
SELECT NULL, -1, row_number() OVER () FROM have ANTI JOIN want USING (mark) SEMI JOIN expected USING (guid)
"""
"""From `expected` and `found` to `landed`. A record that equals no kept event is of no place (-1) if its guid is one of
the events', and is else somebody else's."""


class PassedOn:
    """Tells records apart by all that a route passes on: key, value, headers and time.

    Attributes:
        expected: expression of what becomes of an event, over `Judge.events` with `columns`.
        found: the same of a record in the target topic, over `table`.
    """

    def __init__(self, plan: RouterPlan, target: KafkaTarget) -> None:
        fields = tuple(Field(column.name, column.type) for column in plan.columns)
        self._decoder = Decoder(fields) if fields else None
        selected = ", ".join(f"{quoted(column.name)}: {column_sql(column)}" for column in plan.columns)
        landed = ", ".join(f"{quoted(field.name)}: {quoted(field.name)}" for field in fields)
        key = "_key"
        if target.key == "none":
            key = "NULL::BLOB"
        elif target.key_path:
            key = f"encode({field_sql(*target.key_path)}::VARCHAR)"
        payload, document = (f"{{{selected}}}", f"{{{landed}}}") if fields else ("_value", "_value")
        self.expected = f"hash({key}, _timestamp, _headers, {payload})"
        self.found = f"CASE WHEN _readable THEN hash(_key, _timestamp, _headers, {document}) END"

    def columns(self, events: pa.Table, records: Sequence[Record]) -> pa.Table:
        """Add to `Judge.events` what the expression needs beside them."""
        for name, values in _parts(records).items():
            events = events.append_column(name, values)
        return events

    def table(self, records: Sequence[Record]) -> pa.Table:
        """Return a row a record of the target topic, with its `_guid`."""
        guids = pa.array([header_text(record, envelope.CE_ID) for record in records], pa.string())
        table = pa.table({"_guid": guids, **_parts(records)})
        if self._decoder is None:
            return table.append_column("_readable", pa.array([True] * len(records)))
        decoded = [self._decoder.decode(record.value) for record in records]
        values = pa.array([None if isinstance(value, Dead) else value for value in decoded], self._decoder.type)
        for field, column in zip(self._decoder.type, values.flatten(), strict=True):
            table = table.append_column(field.name, column)
        return table.append_column("_readable", pa.array([not isinstance(value, Dead) for value in decoded]))


def _parts(records: Sequence[Record]) -> dict[str, pa.Array]:
    return {
        "_key": pa.array([record.key for record in records], pa.binary()),
        "_value": pa.array([record.value for record in records], pa.binary()),
        "_timestamp": pa.array([record.timestamp_ms for record in records], pa.int64()),
        "_headers": pa.array([_headers(record) for record in records], pa.binary()),
    }


def _headers(record: Record) -> bytes:
    """Return the headers that a route passes on, as bytes that are equal iff they are: those that have a value."""
    kept = sorted((name, value) for name, value in record.headers.items() if value is not None)
    return repr(kept).encode()
