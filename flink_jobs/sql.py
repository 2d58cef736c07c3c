"""Renders names, texts and types as Flink SQL. Nothing of a plan reaches SQL except through these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from keystone_platform.spec.types import Array, FieldType, Scalar, Struct

_SCALARS = {
    Scalar.STRING: "STRING",
    Scalar.BOOLEAN: "BOOLEAN",
    Scalar.INT: "INT",
    Scalar.BIGINT: "BIGINT",
    Scalar.FLOAT: "FLOAT",
    Scalar.DOUBLE: "DOUBLE",
    Scalar.DATE: "DATE",
    Scalar.TIMESTAMP: "TIMESTAMP_LTZ(6)",
}


def identifier(*parts: str) -> str:
    """Return a quoted, dotted name."""
    return ".".join(f"`{part.replace('`', '``')}`" for part in parts)


def text(value: str) -> str:
    """Return a string literal."""
    return "'" + value.replace("'", "''") + "'"


def type_of(kind: FieldType) -> str:
    """Return the column type."""
    if isinstance(kind, Struct):
        fields = ", ".join(f"{identifier(field.name)} {type_of(field.type)}" for field in kind.fields)
        return f"ROW<{fields}>"
    if isinstance(kind, Array):
        return f"ARRAY<{type_of(kind.element)}>"
    return _SCALARS[kind]


def options(values: Mapping[str, str]) -> str:
    """Return the key-value pairs of a WITH or OPTIONS clause, one a line, in the given order."""
    return ",\n".join(f"  {text(key)} = {text(value)}" for key, value in values.items())


def create_table(name: str, columns: Iterable[str], values: Mapping[str, str]) -> str:
    """Return the DDL of a temporary table: nothing of it outlives the submission."""
    body = ",\n".join(f"  {column}" for column in columns)
    return f"CREATE TEMPORARY TABLE {identifier(name)} (\n{body}\n) WITH (\n{options(values)}\n)"
