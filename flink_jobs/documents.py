"""An event as a JSON document, built by Flink: Python would have to take each value apart and put it together again."""

from __future__ import annotations

from collections.abc import Mapping

from flink_jobs import sql
from keystone_platform.spec.types import Array, FieldType, Scalar, Struct

_TIMESTAMP = "yyyy-MM-dd''T''HH:mm:ss.SSSSSS''Z''"


def document(values: Mapping[str, str]) -> str:
    """Return the expression of a JSON object of these values (see `value`) by name; null ones are left out."""
    pairs = ",\n    ".join(f"KEY {sql.text(name)} VALUE {value}" for name, value in values.items())
    return f"JSON_OBJECT(\n    {pairs}\n    ABSENT ON NULL)"


def value(expression: str, kind: FieldType) -> str:
    """Return what an expression of that type contributes: Flink's JSON functions take neither days nor points in time.

    An object with nothing in it is left out like one that is null; times in a list have a blank for the `T`.
    """
    match kind:
        case Scalar.DATE:
            return f"CAST({expression} AS STRING)"
        case Scalar.TIMESTAMP:
            return timestamp(expression)
        case Array(element=Scalar.DATE | Scalar.TIMESTAMP):
            return f"CAST({expression} AS ARRAY<STRING>)"
        case Scalar.FLOAT:
            return f"JSON(CAST({expression} AS STRING))"  # else it is widened: 0.1 becomes 0.10000000149011612
        case Struct(fields=fields):
            inner = (
                f"KEY {sql.text(each.name)} VALUE {value(f'{expression}.{sql.identifier(each.name)}', each.type)}"
                for each in fields
            )
            return f"JSON(NULLIF(JSON_OBJECT({', '.join(inner)} ABSENT ON NULL), '{{}}'))"
        case _:
            return expression


def timestamp(expression: str) -> str:
    """Return a point in time as ISO 8601 with microseconds, in UTC."""
    return f"DATE_FORMAT({expression}, '{_TIMESTAMP}')"
