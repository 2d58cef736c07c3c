"""Protobuf's wire format: fields of a message, found without looking into them, and plain values.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from keystone_platform.audit.byte_cursor import ByteCursor
from keystone_platform.audit.parse import MAX_DEPTH, DeadEvent, Reason
from keystone_platform.audit.writer_values import Column

VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)

Parts = list[tuple[int, ByteCursor]]
"""What was found of a field: (wire type, bytes); of a plain one the last, of others all."""

_WIRES = {
    **dict.fromkeys(("DOUBLE", "FIXED64", "SFIXED64"), FIXED64),
    **dict.fromkeys(("FLOAT", "FIXED32", "SFIXED32"), FIXED32),
    **dict.fromkeys(("STRING", "BYTES", "MESSAGE"), LENGTH),
    "GROUP": GROUP,
}
TYPES: dict[int, str] = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_")
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_")
}


def next_field(cursor: ByteCursor, depth: int) -> tuple[int, int, ByteCursor]:
    """Pass a field and return its number, its wire type and its bytes, with the length before them if there is one."""
    tag = cursor.unsigned() & 0xFFFFFFFF
    number, wire = tag >> 3, tag & 7
    if number == 0:
        raise cursor.malformed()
    start = cursor.at
    if wire == VARINT:
        cursor.unsigned()
    elif wire in (FIXED32, FIXED64):
        cursor.take(4 if wire == FIXED32 else 8)
    elif wire == LENGTH:
        cursor.take(cursor.signed())
    elif wire == GROUP and depth < MAX_DEPTH:
        while (inner := next_field(cursor, depth + 1))[:2] != (number, END_GROUP):
            if inner[1] == END_GROUP:
                raise cursor.malformed()
    elif wire == GROUP:
        raise DeadEvent(Reason.TOO_DEEP)
    elif wire != END_GROUP or depth == 0:
        raise cursor.malformed()
    return number, wire, cursor.window(start, cursor.at)


def keep(found: dict[str, Parts], field: FieldDescriptor, wire: int, value: ByteCursor) -> None:
    """Note what was found of a field."""
    if not is_repeated(field) and field.message_type is None:
        found[field.name] = []  # of a plain field the last counts; parts of a message are merged
    found.setdefault(field.name, []).append((wire, value))


def only(field: FieldDescriptor, parts: Sequence[ByteCursor]) -> Parts | None:
    """Return what is found of one field."""
    found: dict[str, Parts] = {}
    for part in parts:
        while part.at < part.end:
            number, wire, value = next_field(part, 0)
            if number == field.number and is_wire(field, wire):
                keep(found, field, wire, value)
    return found.get(field.name)


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether it is a list, or a map."""
    return bool(field.label == FieldDescriptor.LABEL_REPEATED)


def is_packable(field: FieldDescriptor) -> bool:
    """Whether a list of its type may be laid down as one run of bytes."""
    return _WIRES.get(TYPES[field.type], VARINT) in (VARINT, FIXED32, FIXED64)


def is_wire(field: FieldDescriptor, wire: int) -> bool:
    """Whether a field's value may be laid down so; else it is passed like an unknown one."""
    if wire == LENGTH and is_repeated(field) and is_packable(field):
        return True
    return wire == _WIRES.get(TYPES[field.type], VARINT)


def inside(parts: Parts | None) -> list[ByteCursor]:
    """Return the parts without the length before each."""
    found = []
    for _, part in parts or ():
        part = part.window(part.at, part.end)
        part.unsigned()
        found.append(part)
    return found


def text_of(cursor: ByteCursor) -> bytes:
    """Read bytes with their length before them."""
    return cursor.take(cursor.signed())


def int32(value: int) -> int:
    """Return the lower 32 bits with their sign."""
    value &= 0xFFFFFFFF
    return value - 2**32 if value >= 2**31 else value


def default_of(field: FieldDescriptor, column: Column) -> Any:  # noqa: ANN401
    """Return what a field is that is not there and has no way to say so."""
    match TYPES[field.type]:
        case "DOUBLE" | "FLOAT":
            return column.real(0.0)
        case "BOOL":
            return column.boolean(False)
        case "STRING":
            return column.text(b"")
        case "BYTES":
            return column.misfit()
        case "ENUM":
            return column.text(field.enum_type.values[0].name.encode())
        case _:
            return column.whole(0)


def scalar_of(field: FieldDescriptor, column: Column, cursor: ByteCursor) -> Any:  # noqa: ANN401
    """Read a plain value; return the column's, or a DeadEvent."""
    match TYPES[field.type]:
        case "DOUBLE":
            return column.real(cursor.double())
        case "FLOAT":
            return column.real(cursor.single())
        case "STRING":
            return column.text(text_of(cursor))
        case "BYTES":
            text_of(cursor)
            return column.misfit()
        case "BOOL":
            return column.boolean(cursor.unsigned() != 0)
        case "ENUM":
            value = field.enum_type.values_by_number.get(int32(cursor.unsigned()))
            return DeadEvent(Reason.OUT_OF_RANGE) if value is None else column.text(value.name.encode())
        case kind:
            return column.whole(_WHOLE[kind](cursor))


_WHOLE: Mapping[str, Callable[[ByteCursor], int]] = {
    "INT64": ByteCursor.signed,
    "UINT64": ByteCursor.unsigned,
    "SINT64": ByteCursor.zigzag,
    "INT32": lambda cursor: int32(cursor.unsigned()),
    "UINT32": lambda cursor: cursor.unsigned() & 0xFFFFFFFF,
    "SINT32": lambda cursor: (value := cursor.unsigned() & 0xFFFFFFFF) >> 1 ^ -(value & 1),
    "FIXED32": lambda cursor: int.from_bytes(cursor.take(4), "little"),
    "FIXED64": lambda cursor: int.from_bytes(cursor.take(8), "little"),
    "SFIXED32": lambda cursor: int.from_bytes(cursor.take(4), "little", signed=True),
    "SFIXED64": lambda cursor: int.from_bytes(cursor.take(8), "little", signed=True),
}
