"""The columns of a route's sink as DuckDB expressions over decoded events."""

from __future__ import annotations

from dataclasses import dataclass

from keystone_platform.audit.columns import column_sql, quoted
from keystone_platform.plan.router_plan import METADATA_COLUMNS, RAW_COLUMN, KafkaTarget, RouterPlan

_METADATA_TYPES = {"_time": "timestamp", "_partition": "int", "_offset": "bigint"}


@dataclass(frozen=True)
class SinkColumn:
    """A column of the sink.

    Attributes:
        expression: DuckDB SQL over the columns of `Judge.events` and METADATA_COLUMNS.
    """

    name: str
    type: str
    expression: str


def sink_columns(plan: RouterPlan) -> tuple[SinkColumn, ...]:
    """Return the sink's columns in its order; none where events go on untouched."""
    selected = tuple(SinkColumn(item.name, str(item.type), column_sql(item)) for item in plan.columns)
    if isinstance(plan.target, KafkaTarget):
        return selected
    raw = (SinkColumn(RAW_COLUMN, "bytes", quoted(RAW_COLUMN)),) if plan.source.raw else ()
    metadata = (SinkColumn(name, _METADATA_TYPES.get(name, "string"), quoted(name)) for name in METADATA_COLUMNS)
    return (*raw, *selected, *metadata)
