"""Decodes Protobuf by the writer's schema, by the rules of the format `keystone-protobuf`, written a second time.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from keystone_platform.audit.byte_cursor import ByteCursor
from keystone_platform.audit.parse import DeadEvent, Reason
from keystone_platform.audit.proto_wire import (
    LENGTH,
    Parts,
    default_of,
    inside,
    int32,
    is_packable,
    is_repeated,
    is_wire,
    keep,
    next_field,
    only,
    scalar_of,
    text_of,
)
from keystone_platform.audit.writer_values import Column
from keystone_platform.spec.types import Array, Field, FieldType, OnTypeError, Struct

Value = Callable[[Parts | None], Any]
"""Turns what was found of a field, or None where it is not there, into its column's value or a DeadEvent."""


_TYPE_ERRORS = (Reason.WRONG_TYPE, Reason.OUT_OF_RANGE)


class MessageReader:
    """Reads messages of one type as the declared columns."""

    def __init__(self, message: Descriptor, declared: Struct) -> None:
        self._columns = [(each, message.fields_by_name.get(each.name)) for each in declared.fields]
        self._values = {found.name: _value(found, each.type) for each, found in self._columns if found is not None}
        self._ends: dict[int, set[str]] = {}
        self._fields = {found.number: found for _, found in self._columns if found is not None}
        for oneof in message.oneofs:
            for member in oneof.fields:
                self._fields.setdefault(member.number, member)
                self._ends[member.number] = {other.name for other in oneof.fields if other is not member}

    def read(self, parts: Sequence[ByteCursor]) -> Any:  # noqa: ANN401
        """Return the row of a message, or of all its parts together, or the DeadEvent of a value that does not fit."""
        found: dict[str, Parts] = {}
        for part in parts:
            while part.at < part.end:
                number, wire, laid = next_field(part, 0)
                field = self._fields.get(number)
                if field is None or not is_wire(field, wire):
                    continue
                for other in self._ends.get(number, ()):
                    found.pop(other, None)
                if field.name in self._values:
                    keep(found, field, wire, laid)
        row, dead = {}, None
        for each, field in self._columns:
            value = None if field is None else _allowed(self._values[field.name](found.get(field.name)), each)
            if isinstance(value, DeadEvent):
                dead = dead or DeadEvent(value.code, each.name, *value.path)
            row[each.name] = value
        return dead or row


def _allowed(value: Any, declared: Field) -> Any:  # noqa: ANN401
    nulled = declared.on_type_error is OnTypeError.NULL and isinstance(value, DeadEvent)
    return None if nulled and value.code in _TYPE_ERRORS else value


def _value(field: FieldDescriptor, declared: FieldType) -> Value:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return _map(field, declared)
    if is_repeated(field):
        return _repeated(field, declared)
    return _plain(field, declared, field.has_presence) if message is None else _message(field, declared)


def _never(is_always_there: bool = False) -> Value:
    """Return what takes nothing of a field."""
    return lambda found: DeadEvent(Reason.WRONG_TYPE) if found is not None or is_always_there else None


def _plain(field: FieldDescriptor, declared: FieldType, has_presence: bool) -> Value:
    if isinstance(declared, Struct | Array):
        return _never(is_always_there=not has_presence)
    column = Column(declared)
    absent = None if has_presence else default_of(field, column)
    return lambda found: absent if found is None else scalar_of(field, column, _last(found))


def _last(found: Parts) -> ByteCursor:
    part = found[-1][1]
    return part.window(part.at, part.end)


def _message(field: FieldDescriptor, declared: FieldType) -> Value:
    name = field.message_type.full_name
    if field.type == FieldDescriptor.TYPE_GROUP or isinstance(declared, Array):
        return _never()
    if isinstance(declared, Struct):
        reader = MessageReader(field.message_type, declared)
        return lambda found: None if found is None else reader.read(inside(found))
    column = Column(declared)
    if name == "google.protobuf.Timestamp":
        return lambda found: None if found is None else _time(field, column, inside(found))
    if field.message_type.file.name == "google/protobuf/wrappers.proto":
        value = _plain(field.message_type.fields_by_name["value"], declared, has_presence=False)
        inner = field.message_type.fields_by_name["value"]
        return lambda found: None if found is None else value(only(inner, inside(found)))
    return _never()


def _time(field: FieldDescriptor, column: Column, parts: list[ByteCursor]) -> Any:  # noqa: ANN401
    found = []
    for name in ("seconds", "nanos"):
        inner = field.message_type.fields_by_name[name]
        parts_of = only(inner, [part.window(part.at, part.end) for part in parts])
        found.append(0 if parts_of is None else _last(parts_of).signed())
    return column.time(found[0], int32(found[1]))


def _repeated(field: FieldDescriptor, declared: FieldType) -> Value:
    if not isinstance(declared, Array):
        return _never()
    if field.message_type is not None:
        return lambda found: DeadEvent(Reason.WRONG_TYPE, "[0]") if found else []
    column = Column(declared.element)

    def value(found: Parts | None) -> Any:  # noqa: ANN401
        elements: list[Any] = []
        for wire, part in found or ():
            part = part.window(part.at, part.end)
            if wire == LENGTH and is_packable(field):
                part.unsigned()
            while part.at < part.end:
                elements.append(scalar_of(field, column, part))
        for index, element in enumerate(elements):
            if isinstance(element, DeadEvent):
                return DeadEvent(element.code, f"[{index}]")
        return elements

    return value


def _map(field: FieldDescriptor, declared: FieldType) -> Value:
    key, inner = (field.message_type.fields_by_number[number] for number in (1, 2))
    if not isinstance(declared, Struct) or key.type != FieldDescriptor.TYPE_STRING:
        return _never()
    is_plain = inner.message_type is None
    values = {
        each.name: (each, _plain(inner, each.type, has_presence=False) if is_plain else _value(inner, each.type))
        for each in declared.fields
    }

    def value(found: Parts | None) -> Any:  # noqa: ANN401
        row, dead = dict.fromkeys(values), None
        for entry in inside(found):
            name = only(key, [entry.window(entry.at, entry.end)])
            text = b"" if name is None else text_of(_last(name))
            each, read = values.get(text.decode("utf-8", "replace"), (None, None))
            if each is None or read is None:
                continue
            there = only(inner, [entry])
            made = _allowed(read(there if is_plain or there else []), each)
            if isinstance(made, DeadEvent):
                dead = dead or DeadEvent(made.code, each.name, *made.path)
            row[each.name] = made
        return dead or row

    return value
