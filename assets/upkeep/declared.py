"""What the stream files say about the upkeep of tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from assets.upkeep.upkeep import Retention
from keystone_platform.plan.declared_tables import DeclaredTable


def retention_of(tables: Iterable[DeclaredTable]) -> Mapping[str, Retention]:
    """Return the retention of the tables that have `keep_days`, by name."""
    return {
        table.name: Retention(table.sink.keep_days, table.plan.source.topics)
        for table in tables
        if table.sink.keep_days is not None
    }
