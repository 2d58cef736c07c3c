"""A sink's columns as DuckDB SQL over decoded events."""

from __future__ import annotations

from keystone_platform.plan.router_plan import OutputColumn
from keystone_platform.spec.types import Array, FieldType, Scalar, Struct

_TYPES = {
    Scalar.STRING: "VARCHAR",
    Scalar.BOOLEAN: "BOOLEAN",
    Scalar.INT: "INTEGER",
    Scalar.BIGINT: "BIGINT",
    Scalar.FLOAT: "FLOAT",
    Scalar.DOUBLE: "DOUBLE",
    Scalar.DATE: "DATE",
    Scalar.TIMESTAMP: "TIMESTAMPTZ",
}


def column_sql(column: OutputColumn) -> str:
    """Return the column as an expression over the columns of `Judge.events`."""
    if column.expression:
        return f"CAST({column.expression.duckdb} AS {_type(column.type)})"
    return field_sql(*column.path)


def field_sql(*path: str) -> str:
    """Return a field, nested or not, as an expression over the columns of `Judge.events`."""
    # parentheses: `"a"."b"` could as well be column b of a table a
    first, *rest = map(quoted, path)
    return ".".join([f"({first})", *rest])


def quoted(name: str) -> str:
    """Return a name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def _type(kind: FieldType) -> str:
    if isinstance(kind, Struct):
        return f"STRUCT({', '.join(f'{quoted(field.name)} {_type(field.type)}' for field in kind.fields)})"
    if isinstance(kind, Array):
        return f"{_TYPES[kind.element]}[]"
    return _TYPES[kind]
