"""What a router should do with each event, found without Flink: a second decoder, and the filter in DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import duckdb
import pyarrow as pa

from keystone_platform import envelope
from keystone_platform.audit.decode import Decoder
from keystone_platform.audit.records import Record
from keystone_platform.plan.router_plan import RouterPlan


class Fate(StrEnum):
    """What should become of an event."""

    KEPT = "kept"
    FILTERED = "filtered"
    DEAD = "dead"


def create_expected(session: duckdb.DuckDBPyConnection) -> None:
    """Create the table `expected` in the session: one row an event."""
    session.execute('CREATE TABLE expected (part INTEGER, "offset" BIGINT, guid VARCHAR, fate VARCHAR)')


class Expectation:
    """Fills the table `expected` of a session, batch by batch, for one route."""

    def __init__(self, session: duckdb.DuckDBPyConnection, plan: RouterPlan) -> None:
        self._session = session
        self._decoder = None if plan.source.raw else Decoder(plan.source.columns)
        self._filter = plan.filter.duckdb if plan.filter else "true"

    def add(self, records: Sequence[Record]) -> None:
        """Decide the fate of these events; a filter that is null keeps nothing, as in SQL."""
        batch = self._columns(records)
        self._session.register("batch", batch)
        self._session.execute(
            f"""INSERT INTO expected SELECT _partition, _offset, _guid,
                CASE WHEN _dead THEN '{Fate.DEAD}' WHEN ({self._filter}) THEN '{Fate.KEPT}' ELSE '{Fate.FILTERED}' END
                FROM batch"""
        )
        self._session.unregister("batch")

    def _columns(self, records: Sequence[Record]) -> pa.Table:
        identity = {
            "_partition": pa.array([record.partition for record in records], pa.int32()),
            "_offset": pa.array([record.offset for record in records], pa.int64()),
            "_guid": pa.array([_text(record.headers.get(envelope.CE_ID)) for record in records], pa.string()),
        }
        if self._decoder is None:
            return pa.table({**identity, "_dead": pa.array([False] * len(records))})
        decoded = [self._decoder.decode(record.value) for record in records]
        values = pa.array(decoded, self._decoder.type)
        fields = dict(zip((field.name for field in self._decoder.type), values.flatten(), strict=True))
        return pa.table({**identity, "_dead": pa.array([value is None for value in decoded]), **fields})


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("utf-8", "replace")
