"""How the SQL of a rewrite names a table's columns, orders by them and numbers them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pyiceberg.schema import Schema, index_by_id
from pyiceberg.types import DoubleType, FloatType, IcebergType, ListType, MapType, NestedField, StructType

IDENTITY = ("_topic", "_partition", "_offset")
"""What a row is, and what it is sorted by at last: equal rows become neighbours, a consumer reads offsets in order."""


def column_list(schema: Schema) -> str:
    """Return the table's columns in its order."""
    return ", ".join(quoted(field.name) for field in schema.fields)


def order_by(schema: Schema, sort_by: Sequence[str], constant: Collection[str] = ()) -> str:
    """Return the order of a compacted file: the declared columns, then the identity.

    A declared column that the table does not have yet is left out: it gets it with the next deployment. So is one that
    is known to have one value only: a text in the key of a sort costs.
    """
    known = {field.name for field in schema.fields} - set(constant)
    chosen = [name for name in dict.fromkeys((*sort_by, *IDENTITY)) if name in known]
    return ", ".join(quoted(name) for name in chosen)


def field_ids(schema: Schema) -> str:
    """Return the value of COPY's option FIELD_IDS: Iceberg finds a file's columns by these numbers."""
    return (
        "{"
        + ", ".join(f"{literal(field.name)}: {_ids(field.field_id, field.field_type)}" for field in schema.fields)
        + "}"
    )


def quoted(name: str) -> str:
    """Return a column's name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return text as a string of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _ids(number: int, kind: IcebergType) -> str:
    if isinstance(kind, StructType):
        inner = {field.name: (field.field_id, field.field_type) for field in kind.fields}
    elif isinstance(kind, ListType):
        inner = {"element": (kind.element_id, kind.element_type)}
    elif isinstance(kind, MapType):
        inner = {"key": (kind.key_id, kind.key_type), "value": (kind.value_id, kind.value_type)}
    else:
        return str(number)
    children = [f"{literal(name)}: {_ids(*child)}" for name, child in inner.items()]
    return "{" + ", ".join([f"__duckdb_field_id: {number}", *children]) + "}"


def is_float(kind: IcebergType) -> bool:
    """Whether it is a float or a double."""
    return isinstance(kind, FloatType | DoubleType)


def has_floats(fields: Iterable[NestedField]) -> bool:
    """Whether any of the columns, nested or not, is a float or a double."""
    return any(is_float(field.field_type) for field in index_by_id(Schema(*fields)).values())
