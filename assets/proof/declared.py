"""How a table is not as its route declares it."""

from __future__ import annotations

from collections.abc import Iterator

from pyiceberg.table import Table

from keystone_platform.gateways.iceberg_schema import TABLE_PROPERTIES, evolution, is_hourly, table_schema
from keystone_platform.plan.router_plan import RouterPlan

_FORMAT = "format-version"
"""A version of the metadata, never kept as a property."""


def schema_differences(table: Table, plan: RouterPlan) -> tuple[str, ...]:
    """Return one sentence a difference; none when each declared column has a type that holds it, and so on.

    Columns that the plan no longer has are no difference, nor is a property that somebody changed.
    """
    return tuple(_differences(table, plan))


def _differences(table: Table, plan: RouterPlan) -> Iterator[str]:
    needed = evolution(table.schema(), table_schema(plan))
    yield from (f"column {'.'.join(change.path)} is missing" for change in needed.added)
    yield from (f"column {'.'.join(change.path)} is narrower than {change.type}" for change in needed.widened)
    yield from (f"column {found}" for found in needed.incompatible)
    if not is_hourly(table.spec(), table.schema()):
        yield "the table is not partitioned by the hour of _time"
    if table.format_version < int(TABLE_PROPERTIES[_FORMAT]):
        yield f"the table's format version is {table.format_version}"
    for key in TABLE_PROPERTIES:
        if key != _FORMAT and key not in table.properties:
            yield f"the table's property {key} is missing"
