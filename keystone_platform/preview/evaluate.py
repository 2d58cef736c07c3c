"""Does with events what a router would do, in this process: decodes, filters and projects them, and looks at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from keystone_platform import envelope
from keystone_platform.audit.expectation import Fate, Judge
from keystone_platform.audit.parse import parsed_object
from keystone_platform.audit.records import Record, header_text
from keystone_platform.gateways.schema_registry import SchemaRegistry
from keystone_platform.plan.router_plan import RAW_COLUMN, RouterPlan
from keystone_platform.preview.newest import Events
from keystone_platform.preview.profile import Profile
from keystone_platform.preview.projection import sink_columns
from keystone_platform.preview.report import ColumnSeen, Counts, DeadEvents, Payloads, Preview
from keystone_platform.spec.types import Struct

_EVENTS = """CREATE TABLE events
(place VARCHAR, happened TIMESTAMPTZ, fate VARCHAR, dead VARCHAR, unknown BOOLEAN, size BIGINT, headers BOOLEAN)"""

_COUNTS = """
SELECT count(*),
    count(*) FILTER (WHERE fate = 'kept'),
    count(*) FILTER (WHERE fate = 'filtered'),
    count(*) FILTER (WHERE unknown),
    count(*) FILTER (WHERE fate = 'dead'),
    count(*) FILTER (WHERE NOT headers)
FROM events
"""

_DEAD_REASONS = "SELECT dead, count(*), first(place) FROM events WHERE dead IS NOT NULL GROUP BY ALL ORDER BY 2 DESC, 1"

_PAYLOADS = "SELECT coalesce(quantile_disc(size, 0.5), 0), coalesce(max(size), 0), arg_max(place, size) FROM events"


def preview_route(
    plan: RouterPlan,
    schema: Struct | None,
    events: Events,
    rows: int,
    progress: Callable[[int], None] = lambda _count: None,
    registry: SchemaRegistry | None = None,
) -> Preview:
    """Read the events and return what the route would do with them. Blocks while they are read.

    Holds a batch at a time, and some 8 bytes for each column of each kept event.

    Args:
        plan: the route's plan; it need not have been applied.
        schema: all that its stream declares.
        events: what to look at.
        rows: how many rows of the sink to return.
        progress: told after each batch how many events were read.
        registry: of the writers' schemas, for streams in Avro and Protobuf.
    """
    evaluation = _Evaluation(plan, schema, events, rows, registry)
    read = 0
    for records in events.batches:
        evaluation.add(records)
        read += len(records)
        progress(read)
    return evaluation.result()


class _Evaluation:
    def __init__(
        self, plan: RouterPlan, schema: Struct | None, events: Events, rows: int, registry: SchemaRegistry | None
    ) -> None:
        self._plan, self._schema, self._events, self._wanted = plan, schema, events, rows
        self._judge = Judge(plan, registry)
        self._columns = sink_columns(plan)
        self._profile = Profile(schema if plan.source.format is None else None)  # which fields others have is not known
        self._newest: list[tuple[Any, dict[str, Any]]] = []
        self._session = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        self._session.execute("SET timezone = 'UTC'")
        self._session.execute(_EVENTS)
        if self._columns:
            cells = ", ".join(f"c{number} UBIGINT" for number in range(len(self._columns)))
            self._session.execute(f"CREATE TABLE cells ({cells})")

    def add(self, records: Sequence[Record]) -> None:
        for record in records:
            if (event := parsed_object(record.value)) is not None:
                self._profile.add(event, self._events.place_of(record))
        self._session.register("batch", self._with_metadata(records))
        self._session.execute(
            f"CREATE OR REPLACE TEMP TABLE judged AS SELECT *, {self._judge.fate} AS _fate,"
            f" _dead IS NULL AND ({self._judge.condition}) IS NULL AS _unknown FROM batch"
        )
        self._session.unregister("batch")
        self._session.execute(
            "INSERT INTO events SELECT _place, _time, _fate, _dead, _unknown, _size, _has_headers FROM judged"
        )
        if self._columns:
            self._add_columns()
        else:
            self._add_records(records)
        self._newest.sort(key=lambda each: each[0], reverse=True)
        del self._newest[self._wanted :]

    def result(self) -> Preview:
        (counts,) = self._session.execute(_COUNTS).fetchall()
        (payloads,) = self._session.execute(_PAYLOADS).fetchall()
        (times,) = self._session.execute("SELECT min(happened), max(happened) FROM events").fetchall()
        return Preview(
            plan=self._plan,
            place=self._events.place,
            missing=self._events.missing,
            is_file=self._events.is_file,
            partitions=self._events.partitions,
            counts=Counts(*counts),
            first_time=times[0],
            last_time=times[1],
            dead_reasons=tuple(DeadEvents(*row) for row in self._session.execute(_DEAD_REASONS).fetchall()),
            columns=self._seen_columns(),
            rows=tuple(row for _, row in self._newest),
            declares_schema=self._schema is not None,
            differences=self._profile.differences(),
            payloads=Payloads(*payloads),
        )

    def _with_metadata(self, records: Sequence[Record]) -> pa.Table:
        """Add what a sink's rows carry beside the event's own fields, and what is counted."""
        sources = [(header_text(record, envelope.CE_SOURCE) or "").split("/") for record in records]
        millis = [record.timestamp_ms for record in records]
        added = {
            RAW_COLUMN: pa.array([record.value for record in records], pa.binary()),
            "_time": pa.array(millis, pa.timestamp("ms", tz="UTC")),
            "_host": pa.array([source[0] or None for source in sources], pa.string()),
            "_app": pa.array([source[1] if len(source) > 1 else None for source in sources], pa.string()),
            "_topic": pa.array([self._plan.source.topic] * len(records), pa.string()),
            "_place": pa.array(map(self._events.place_of, records), pa.string()),
            "_size": pa.array([None if each.value is None else len(each.value) for each in records], pa.int64()),
            "_has_headers": pa.array([envelope.CE_ID in record.headers for record in records], pa.bool_()),
        }
        table = self._judge.events(records)
        for name, column in added.items():
            table = table.append_column(name, column)
        return table

    def _add_columns(self) -> None:
        """Keep a hash of each value, which tells nulls and constants, and of the newest rows the values."""
        hashes = ", ".join(
            f"CASE WHEN ({c.expression}) IS NOT NULL THEN hash({c.expression}) END" for c in self._columns
        )
        kept = f"FROM judged WHERE _fate = '{Fate.KEPT}'"
        self._session.execute(f"INSERT INTO cells SELECT {hashes} {kept}")
        values = ", ".join(column.expression for column in self._columns)
        order = 'coalesce(epoch_us(_time), 0), "_offset"'
        newest = f"SELECT ({order}), {values} {kept} ORDER BY 1 DESC LIMIT {self._wanted}"
        for place, *row in self._session.execute(newest).fetchall():
            self._newest.append((place, dict(zip((column.name for column in self._columns), row, strict=True))))

    def _add_records(self, records: Sequence[Record]) -> None:
        """Keep the newest records as they go on: a sink without columns gets them untouched."""
        kept = set(self._session.execute(f"SELECT _place FROM judged WHERE _fate = '{Fate.KEPT}'").fetchall())
        for record in records:
            if (self._events.place_of(record),) in kept:
                self._newest.append(((record.timestamp_ms or 0, record.offset), _untouched(record)))

    def _seen_columns(self) -> tuple[ColumnSeen, ...]:
        if not self._columns:
            return ()
        wanted = ", ".join(f"count(c{n}), count(DISTINCT c{n})" for n in range(len(self._columns)))
        (found,) = self._session.execute(f"SELECT count(*), {wanted} FROM cells").fetchall()
        rows, counts = found[0], zip(found[1::2], found[2::2], strict=True)
        return tuple(
            ColumnSeen(column.name, column.type, values, constant=rows > 1 and values == rows and distinct == 1)
            for column, (values, distinct) in zip(self._columns, counts, strict=True)
        )


def _untouched(record: Record) -> dict[str, Any]:
    return {"key": record.key, "value": record.value, "headers": dict(record.headers)}
