"""Landed payloads as the source of a backfill: a raw table's rows, decoded as the topic's records would be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from flink_jobs import sql, tables
from keystone_platform.plan.backfill import Scope, Span, TableSnapshot
from keystone_platform.plan.router_plan import METADATA_COLUMNS, RAW_COLUMN, RouterPlan
from keystone_platform.spec.types import Struct

DECODE = "_decode"

_DECODER = "io.keystone.format.DecodeEvents"

_ROW, _EVENT = "_row", "_event"


def landed_source(plan: RouterPlan, source: TableSnapshot, scope: Scope, catalog: str) -> tuple[str, ...]:
    """Return the DDL of a view that has for the scope's payloads what `tables.source_table` has for its records.

    Before it comes, where anything is decoded, the DDL of the function that is for payloads in a table what
    `keystone-json` is for those in a topic. A row without a payload is none of the scope's: nobody can say what its
    event held.
    """
    view = _view(plan, source, scope, catalog)
    if not plan.source.columns:
        return (view,)
    return f"CREATE TEMPORARY FUNCTION {sql.identifier(DECODE)} AS {sql.text(_DECODER)} LANGUAGE JAVA", view


def _view(plan: RouterPlan, source: TableSnapshot, scope: Scope, catalog: str) -> str:
    names = [field.name for field in plan.source.columns]
    decoded = [*(sql.identifier(_EVENT, name) for name in names), sql.identifier(_EVENT, tables.ERROR)]
    if not names:
        decoded = [f"CAST(NULL AS STRING) AS {sql.identifier(tables.ERROR)}"]
    kept = [f"{sql.identifier(_ROW, RAW_COLUMN)} AS {sql.identifier(tables.RAW)}"]
    kept += [sql.identifier(_ROW, name) for name in METADATA_COLUMNS]
    selected = ",\n  ".join([*decoded, *kept])
    return (
        f"CREATE TEMPORARY VIEW {sql.identifier(tables.SOURCE)} AS\nSELECT\n  {selected}\n"
        f"FROM (\n  {_rows(source, scope, catalog)}\n) AS {sql.identifier(_ROW)}{_decoded(plan) if names else ''}"
    )


def _rows(source: TableSnapshot, scope: Scope, catalog: str) -> str:
    """Return the query of the rows; each condition is such that Iceberg leaves out files by it."""
    columns = ", ".join(map(sql.identifier, (RAW_COLUMN, *METADATA_COLUMNS)))
    hint = f"OPTIONS('snapshot-id' = '{source.snapshot_id}', 'streaming' = 'false')"
    table = f"{sql.identifier(catalog, *source.table.split('.'))} /*+ {hint} */"
    return f"SELECT {columns}\n  FROM {table}\n  WHERE " + "\n    AND ".join(_conditions(scope))


def _decoded(plan: RouterPlan) -> str:
    columns = plan.source.columns
    paths = ";".join(plan.source.null_on_type_error or ())
    payload = sql.identifier(_ROW, RAW_COLUMN)
    arguments = f"{sql.text(sql.type_of(Struct(columns)))}, {sql.text(paths)}, {payload}"
    names = ", ".join(map(sql.identifier, (*(field.name for field in columns), tables.ERROR)))
    return f"\nCROSS JOIN LATERAL TABLE({sql.identifier(DECODE)}({arguments})) AS {sql.identifier(_EVENT)} ({names})"


def _conditions(scope: Scope) -> Iterator[str]:
    yield f"{sql.identifier(RAW_COLUMN)} IS NOT NULL"
    # beside the exact conditions: of long ones the planner hands none down, and then every file would be read
    offset, time = sql.identifier(tables.OFFSET), sql.identifier(tables.TIME)
    begin, end = min(span.begin for span in scope.spans), max(span.end for span in scope.spans)
    yield f"{offset} >= {begin} AND {offset} < {end}"
    if scope.times:
        yield f"{time} >= {instant(scope.times[0].start)} AND {time} < {instant(scope.times[-1].end)}"
    yield f"({' OR '.join(map(_of_span, scope.spans))})"
    if condition := in_times(scope):
        yield condition


def _of_span(span: Span) -> str:
    topic, partition, offset = map(sql.identifier, (tables.TOPIC, tables.PARTITION, tables.OFFSET))
    place = f"{topic} = {sql.text(span.topic)} AND {partition} = {span.partition}"
    return f"({place} AND {offset} >= {span.begin} AND {offset} < {span.end})"


def in_times(scope: Scope) -> str:
    """Return the condition of an event in the scope's times; empty where any time will do."""
    time = sql.identifier(tables.TIME)
    ranges = [f"({time} >= {instant(each.start)} AND {time} < {instant(each.end)})" for each in scope.times]
    return f"({' OR '.join(ranges)})" if ranges else ""


def instant(time: datetime) -> str:
    """Return a point in time, to the millisecond, as a column of times is compared with."""
    return f"TO_TIMESTAMP_LTZ({int(time.timestamp() * 1000)}, 3)"
