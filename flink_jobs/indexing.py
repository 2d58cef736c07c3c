"""A search route in SQL: what the dead letters' insert reads, and with that, all that the route does."""

from __future__ import annotations

from collections.abc import Mapping

from flink_jobs import documents, sql, tables
from keystone_platform.plan.router_plan import SearchTarget
from keystone_platform.plan.submission import Connection
from keystone_platform.spec.sinks import DATE_PLACEHOLDER

INDEX_DOCUMENTS = "index_documents"
"""The function that indexes: (index, id, document) -> null, or why the search cluster refused it."""

_DAY = "yyyy.MM.dd"

_PASSED_ON = (
    tables.KEY,
    tables.RAW,
    tables.HEADERS,
    tables.TIME,
    tables.TOPIC,
    tables.PARTITION,
    tables.OFFSET,
)


def python_options(connection: Connection) -> dict[str, str]:
    """Return how the job's Python workers are run."""
    return {
        "python.executable": connection.python,
        # a worker takes about 200 MB of the machine's memory; a slot's share of the managed one would be too small
        "python.fn-execution.memory.managed": "false",
        "python.fn-execution.arrow.batch.size": "1000",
        "python.fn-execution.bundle.size": "2000",
        # bounds the bytes of a bundle too, where events are large: the source reads no more of them in this time
        "python.fn-execution.bundle.time": "200",
    }


def refused_view(target: SearchTarget, kept: str, values: Mapping[str, str]) -> str:
    """Return the DDL of the view of dead events: those that could not be decoded, and those that were refused.

    Reading it indexes the others.

    Args:
        target: where they are indexed.
        kept: condition of the events that are.
        values: the documents' values (see `documents.value`) by name, METADATA_COLUMNS included.
    """
    passed_on = ", ".join(sql.identifier(name) for name in _PASSED_ON)
    error, source = sql.identifier(tables.ERROR), sql.identifier(tables.SOURCE)
    call = ",\n  ".join((_index(target.index), _identity(values["_guid"]), documents.document(values)))
    return (
        f"CREATE TEMPORARY VIEW {sql.identifier(tables.REFUSED)} AS\n"
        f"SELECT {passed_on}, {error} FROM {source} WHERE {error} IS NOT NULL\n"
        f"UNION ALL\n"
        f"SELECT {passed_on}, {INDEX_DOCUMENTS}(\n  {call}) AS {error}\nFROM {source}\nWHERE {kept}"
    )


def _index(pattern: str) -> str:
    """Return the index's name, with the day (UTC) of the event."""
    day = f"DATE_FORMAT({sql.identifier(tables.TIME)}, {sql.text(_DAY)})"
    parts = [sql.text(part) for part in pattern.split(DATE_PLACEHOLDER)]
    return f"CONCAT({f', {day}, '.join(parts)})"


def _identity(guid: str) -> str:
    """Return the document's id: the guid; the event's place in Kafka where it has none."""
    place = ", '-', ".join(
        (
            sql.identifier(tables.TOPIC),
            *(f"CAST({sql.identifier(name)} AS STRING)" for name in (tables.PARTITION, tables.OFFSET)),
        )
    )
    return f"COALESCE(NULLIF({guid}, ''), CONCAT({place}))"
