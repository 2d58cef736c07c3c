"""Readers of Avro's plain types. What one means beyond its bytes is its logical type; an unknown one means nothing."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from keystone_platform.audit.avro_schema import Json, kind_of
from keystone_platform.audit.byte_cursor import ByteCursor
from keystone_platform.audit.writer_values import Column

Read = Callable[[ByteCursor, int], Any]
"""Reads one whole value at that depth; returns it, or a DeadEvent where the column does not take it. Raises DeadEvent
where the bytes are not what the schema says."""

_PER_SECOND = {"timestamp-millis": 10**3, "timestamp-micros": 10**6, "timestamp-nanos": 10**9}


def nothing(_cursor: ByteCursor, _depth: int) -> None:
    """Read null."""


def scalar_reader(writer: Json, column: Column | None) -> Read:
    """Return the reader of a plain type; without a column it passes the value."""
    read = _plain(writer, column or Column(None))
    return read if column else lambda cursor, depth: (read(cursor, depth), None)[1]


def _plain(writer: Json, column: Column) -> Read:
    logical: Mapping[str, Any] = writer if isinstance(writer, dict) and "logicalType" in writer else {}
    match kind_of(writer):
        case "null":
            return nothing
        case "boolean":
            return lambda cursor, _: column.boolean(_flag(cursor))
        case "int":
            take = column.day if logical.get("logicalType") == "date" else column.whole
            return lambda cursor, _: take(_int(cursor))
        case "long":
            return _long(str(logical.get("logicalType")), column)
        case "float":
            return lambda cursor, _: column.real(cursor.single())
        case "double":
            return lambda cursor, _: column.real(cursor.double())
        case "string":
            return lambda cursor, _: column.text(cursor.take(cursor.zigzag()))
        case "enum":
            return _enum(writer["symbols"], column)
        case "bytes":
            return lambda cursor, _: _binary(cursor, cursor.take(cursor.zigzag()), logical, column)
        case "fixed":
            return lambda cursor, _: _binary(cursor, cursor.take(writer["size"]), logical, column)
        case other:
            raise KeyError(other)


def _flag(cursor: ByteCursor) -> bool:
    value = cursor.take(1)[0]
    if value > 1:
        raise cursor.malformed()
    return value == 1


def _int(cursor: ByteCursor) -> int:
    value = cursor.zigzag()
    if not -(2**31) <= value < 2**31:
        raise cursor.malformed()
    return value


def _long(logical: str, column: Column) -> Read:
    per_second = _PER_SECOND.get(logical)
    if logical.startswith("local-timestamp-"):  # which point in time it is depends on who reads
        return lambda cursor, _: (cursor.zigzag(), column.misfit())[1]
    if per_second is None:
        return lambda cursor, _: column.whole(cursor.zigzag())

    def read(cursor: ByteCursor, _depth: int) -> Any:  # noqa: ANN401
        seconds, rest = divmod(cursor.zigzag(), per_second)
        return column.time(seconds, rest * (10**9 // per_second))

    return read


def _enum(symbols: Sequence[str], column: Column) -> Read:
    def read(cursor: ByteCursor, _depth: int) -> Any:  # noqa: ANN401
        index = cursor.zigzag()
        if not 0 <= index < len(symbols):
            raise cursor.malformed()
        return column.text(symbols[index].encode())

    return read


def _binary(cursor: ByteCursor, value: bytes, logical: Mapping[str, Any], column: Column) -> Any:  # noqa: ANN401
    if _is_decimal(logical):
        if not value:
            raise cursor.malformed()
        scale = logical.get("scale", 0)
        sign = Decimal(int.from_bytes(value, "big", signed=True)).as_tuple()
        return column.decimal(Decimal((sign.sign, sign.digits, -scale)), scale)
    if logical.get("logicalType") == "uuid" and len(value) == 16:
        return column.text(str(uuid.UUID(bytes=value)).encode())
    return column.misfit()


def _is_decimal(logical: Mapping[str, Any]) -> bool:
    """Whether it is a decimal by the specification, which wants a wrong one to be taken for plain bytes."""
    if logical.get("logicalType") != "decimal":
        return False
    precision, scale = logical.get("precision"), logical.get("scale", 0)
    if type(precision) is not int or type(scale) is not int or not 0 <= scale <= precision or precision < 1:
        return False
    size = logical.get("size")
    return size is None or precision <= math.floor(math.log10(2) * (8 * size - 1))
