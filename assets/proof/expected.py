"""What the table should hold of Kafka's records, judged without Flink: a fate each, and a number for all its values."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from keystone_platform.audit.columns import column_sql, quoted
from keystone_platform.audit.expectation import Judge
from keystone_platform.audit.records import Record
from keystone_platform.gateways.schema_registry import SchemaRegistry
from keystone_platform.plan.router_plan import METADATA_COLUMNS, RAW_COLUMN, RouterPlan

COMPARED_METADATA = ("_guid", "_time")
"""Of METADATA_COLUMNS, what is compared: the last three are the identity, host and app come from one header."""


class RowMark:
    """One 64-bit number for all values of a row, as DuckDB SQL over the table and over the events.

    Args:
        columns: the table's columns with their DuckDB types.
    """

    def __init__(self, columns: Sequence[tuple[str, str]]) -> None:
        self._columns = [(name, kind) for name, kind in columns if name not in METADATA_COLUMNS]

    @property
    def landed(self) -> str:
        """Expression over the table's rows."""
        return _hash([quoted(name) for name, _ in self._columns], "epoch_us(_time)")

    def expected(self, plan: RouterPlan) -> str:
        """Return the expression over `events`; a column that the plan does not have is null."""
        selected = {column.name: column_sql(column) for column in plan.columns}
        if plan.source.raw:
            selected[RAW_COLUMN] = quoted(RAW_COLUMN)
        values = [f"CAST({selected.get(name, 'NULL')} AS {kind})" for name, kind in self._columns]
        return _hash(values, "_timestamp::HUGEINT * 1000")


class Expected:
    """Judges records by one plan, for a table whose rows `mark` tells."""

    def __init__(self, plan: RouterPlan, mark: RowMark, registry: SchemaRegistry | None = None) -> None:
        self._plan = plan
        self._judge = Judge(plan, registry)
        self.columns = f"_partition, _offset, {self._judge.fate}, {mark.expected(plan)}"

    def events(self, records: Sequence[Record]) -> pa.Table:
        """Return a row a record, over which `columns` are: partition, offset, fate and mark."""
        events = self._judge.events(records)
        times = pa.array([record.timestamp_ms for record in records], pa.int64())
        events = events.append_column("_timestamp", times)
        if not self._plan.source.raw:
            return events
        return events.append_column(RAW_COLUMN, pa.array([record.value for record in records], pa.binary()))


def _hash(values: Sequence[str], micros: str) -> str:
    return f"hash({', '.join([*values, '_guid', f'CAST({micros} AS HUGEINT)'])})"
