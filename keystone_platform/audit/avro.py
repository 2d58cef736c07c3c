"""Decodes Avro by the writer's schema, by the rules of the format `keystone-avro`, written a second time.

https://avro.apache.org/docs/1.12.0/specification/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from keystone_platform.audit.avro_scalars import Read, nothing, scalar_reader
from keystone_platform.audit.avro_schema import Json, Schemas, kind_of, may_be_empty
from keystone_platform.audit.byte_cursor import ByteCursor
from keystone_platform.audit.parse import MAX_DEPTH, DeadEvent, Reason
from keystone_platform.audit.writer_values import Column
from keystone_platform.spec.types import Array, Field, FieldType, OnTypeError, Struct

_TYPE_ERRORS = (Reason.WRONG_TYPE, Reason.OUT_OF_RANGE)


def event_reader(text: str, references: Sequence[str], columns: Struct) -> Read:
    """Return the reader of the columns; fields say by `on_type_error` whether they become null where they don't fit.

    Raises:
        ValueError: the schema is of no use.
    """
    schemas = Schemas()
    try:
        for each in references:
            schemas.named(json.loads(each), "")
        writer = schemas.named(json.loads(text), "")
        if kind_of(writer) != "record":
            message = "it describes no record"
            raise ValueError(message)
        return _Compilation(schemas).record(writer, columns)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        message = "it can't be parsed as an Avro schema"
        raise ValueError(message) from error


class _Compilation:
    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._passing: dict[str, list[Read]] = {}

    def record(self, writer: Json, declared: Struct) -> Read:
        steps: list[tuple[Read, Field | None]] = []
        for each in writer["fields"]:
            found = declared.field(each["name"])
            steps.append((self.reader(each["type"], found.type) if found else self.passing(each["type"]), found))
        names = [each.name for each in declared.fields]

        def read(cursor: ByteCursor, depth: int) -> Any:  # noqa: ANN401
            inside = _deeper(depth)
            row, dead = dict.fromkeys(names), None
            for reader, found in steps:
                value = reader(cursor, inside)
                if found is not None:
                    value = _allowed(value, found)
                    dead = dead or _named(value, found.name)
                    row[found.name] = value
            return dead or row

        return read

    def reader(self, writer: Json, declared: FieldType) -> Read:
        kind = kind_of(writer)
        if kind == "union":
            return _union([self.reader(each, declared) for each in writer])
        if kind == "null":
            return nothing
        if isinstance(declared, Struct):
            if kind == "record":
                return self.record(writer, declared)
            return self._object(writer, declared) if kind == "map" else self._misfit(writer)
        if isinstance(declared, Array):
            return self._array(writer, declared) if kind == "array" else self._misfit(writer)
        if kind in ("record", "map", "array"):
            return self._misfit(writer)
        return scalar_reader(writer, Column(declared))

    def _misfit(self, writer: Json) -> Read:
        passing = self.passing(writer)

        def read(cursor: ByteCursor, depth: int) -> DeadEvent:
            passing(cursor, depth)
            return DeadEvent(Reason.WRONG_TYPE)

        return read

    def _object(self, writer: Json, declared: Struct) -> Read:
        """Read a map as an object whose keys are fields."""
        readers = {each.name: (self.reader(writer["values"], each.type), each) for each in declared.fields}
        other = self.passing(writer["values"])

        def read(cursor: ByteCursor, depth: int) -> Any:  # noqa: ANN401
            inside = _deeper(depth)
            row, dead = dict.fromkeys(readers), None
            for _ in _items(cursor):
                reader, found = readers.get(_key(cursor), (other, None))
                value = reader(cursor, inside)
                if found is not None:
                    value = _allowed(value, found)
                    dead = dead or _named(value, found.name)
                    row[found.name] = value
            return dead or row

        return read

    def _array(self, writer: Json, declared: Array) -> Read:
        self._check_items(writer)
        reader = self.reader(writer["items"], declared.element)

        def read(cursor: ByteCursor, depth: int) -> Any:  # noqa: ANN401
            inside = _deeper(depth)
            elements: list[Any] = []
            dead = None
            for _ in _items(cursor):
                value = reader(cursor, inside)
                dead = dead or _named(value, f"[{len(elements)}]")
                elements.append(value)
            return dead or elements

        return read

    def passing(self, writer: Json) -> Read:
        kind = kind_of(writer)
        if kind == "union":
            return _union([self.passing(each) for each in writer])
        if kind == "record":
            return self._passing_record(writer)
        if kind not in ("array", "map"):
            return scalar_reader(writer, None)
        if kind == "array":
            self._check_items(writer)
        item = self.passing(writer["items" if kind == "array" else "values"])

        def read(cursor: ByteCursor, depth: int) -> None:
            inside = _deeper(depth)
            for _ in _items(cursor):
                if kind == "map":
                    _key(cursor)
                item(cursor, inside)

        return read

    def _passing_record(self, writer: Json) -> Read:
        """Pass a record; its readers are made once, since a type may hold itself."""
        readers = self._passing.get(writer["full"])
        if readers is None:
            readers = self._passing[writer["full"]] = []
            readers += [self.passing(each["type"]) for each in writer["fields"]]

        def read(cursor: ByteCursor, depth: int) -> None:
            inside = _deeper(depth)
            for each in readers:
                each(cursor, inside)

        return read

    def _check_items(self, writer: Json) -> None:
        if may_be_empty(writer["items"], set()):
            message = "it has an array whose elements may take no bytes"
            raise ValueError(message)


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise DeadEvent(Reason.TOO_DEEP)
    return depth + 1


def _allowed(value: Any, found: Field) -> Any:  # noqa: ANN401
    nulled = found.on_type_error is OnTypeError.NULL and isinstance(value, DeadEvent) and value.code in _TYPE_ERRORS
    return None if nulled else value


def _named(value: Any, name: str) -> DeadEvent | None:  # noqa: ANN401
    return DeadEvent(value.code, name, *value.path) if isinstance(value, DeadEvent) else None


def _union(branches: Sequence[Read]) -> Read:
    def read(cursor: ByteCursor, depth: int) -> Any:  # noqa: ANN401
        branch = cursor.zigzag()
        if not 0 <= branch < len(branches):
            raise cursor.malformed()
        return branches[branch](cursor, depth)

    return read


def _items(cursor: ByteCursor) -> Any:  # noqa: ANN401 - a generator of nothing
    """Yield once for each item of an array's or map's blocks."""
    while count := cursor.zigzag():
        if count < 0:
            count, size = -count, cursor.zigzag()
            if not 0 <= size <= cursor.end - cursor.at:
                raise cursor.malformed()
        if count > cursor.end - cursor.at:
            raise cursor.malformed()
        yield from range(count)


def _key(cursor: ByteCursor) -> str:
    try:
        return cursor.take(cursor.zigzag()).decode()
    except UnicodeDecodeError as error:
        raise cursor.malformed() from error
