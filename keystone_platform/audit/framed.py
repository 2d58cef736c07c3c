"""Decodes events in Confluent's wire format: a zero byte, the id of the writer's schema, the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from keystone_platform.audit.avro import event_reader
from keystone_platform.audit.byte_cursor import ByteCursor
from keystone_platform.audit.decode import arrow_type, marked
from keystone_platform.audit.parse import Dead, DeadEvent, Reason
from keystone_platform.audit.proto_schema import message_of
from keystone_platform.audit.protobuf import MessageReader
from keystone_platform.gateways.schema_registry import RegisteredSchema, SchemaRegistry
from keystone_platform.spec.types import Field, Struct

_HEADER_BYTES = 5
_MAX_WAY = 16
_MAX_REFERENCES = 100

Read = Callable[[ByteCursor], Any]
"""Reads an event; returns its row or a DeadEvent, or raises one."""


class FramedDecoder:
    """The twin of `decode.Decoder` for payloads in Avro or Protobuf."""

    def __init__(
        self, columns: Sequence[Field], null_on_type_error: Sequence[str], encoding: str, registry: SchemaRegistry
    ) -> None:
        self._struct = marked(Struct(tuple(columns)), frozenset(null_on_type_error))
        self.type: pa.StructType = arrow_type(self._struct)
        self._encoding, self._registry = encoding, registry
        self._malformed = Reason.NOT_AVRO if encoding == "avro" else Reason.NOT_PROTOBUF
        self._readers: dict[tuple[int, ...], Read] = {}

    def decode(self, payload: bytes | None) -> dict[str, Any] | Dead:
        """Return the columns' values (dates as days, timestamps as microseconds), or why the event is dead.

        Raises:
            Transient, Terminal: the registry does not answer, or there is none.
        """
        try:
            found = self._decoded(payload)
            if isinstance(found, DeadEvent):
                raise found
        except DeadEvent as dead:
            return Dead(dead.code, ".".join(dead.path).replace(".[", "["))
        row: dict[str, Any] = found
        return row

    def _decoded(self, payload: bytes | None) -> Any:  # noqa: ANN401
        if payload is None:
            raise DeadEvent(Reason.NO_VALUE)
        if not payload:
            raise DeadEvent(Reason.EMPTY)
        if len(payload) < _HEADER_BYTES or payload[0] != 0:
            raise DeadEvent(Reason.NOT_FRAMED)
        cursor = ByteCursor(payload, _HEADER_BYTES, len(payload), self._malformed)
        way = _way(cursor) if self._encoding == "protobuf" else ()
        key = (int.from_bytes(payload[1:_HEADER_BYTES], "big", signed=True), *way)
        if key not in self._readers:
            self._readers[key] = self._reader(key[0], way)
        return self._readers[key](cursor)

    def _reader(self, schema_id: int, way: tuple[int, ...]) -> Read:
        found = self._registry.by_id(schema_id)
        if found is None:
            raise DeadEvent(Reason.UNKNOWN_SCHEMA)
        if found.type != self._encoding.upper():
            raise DeadEvent(Reason.UNUSABLE_SCHEMA)
        references = self._references(found)
        try:
            if self._encoding == "protobuf":
                return _messages(MessageReader(message_of(found.text, references, way), self._struct))
            return _avro(event_reader(found.text, list(references.values()), self._struct))
        except ValueError as error:
            raise DeadEvent(Reason.UNUSABLE_SCHEMA) from error

    def _references(self, schema: RegisteredSchema, seen: set[tuple[str, int]] | None = None) -> dict[str, str]:
        """Return the texts of all that the schema refers to, by name, each behind what it refers to itself."""
        found: dict[str, str] = {}
        seen = set() if seen is None else seen
        for each in schema.references:
            if (each.subject, each.version) in seen:
                continue
            seen.add((each.subject, each.version))
            if len(seen) > _MAX_REFERENCES:
                raise DeadEvent(Reason.UNUSABLE_SCHEMA)
            there = self._registry.by_subject(each.subject, each.version)
            if there is None:
                raise DeadEvent(Reason.UNKNOWN_SCHEMA)
            found |= self._references(there, seen)
            found[each.name] = there.text
        return found


def _way(cursor: ByteCursor) -> tuple[int, ...]:
    """Return the indexes that lead to the message; a count of 0 stands for the first one."""
    count = cursor.zigzag()
    if count == 0:
        return (0,)
    if not 0 < count <= _MAX_WAY:
        raise DeadEvent(Reason.NOT_FRAMED)
    way: tuple[int, ...] = ()
    while len(way) < count:
        way += (cursor.zigzag(),)
        if not 0 <= way[-1] < 2**31:
            raise DeadEvent(Reason.NOT_FRAMED)
    return way


def _messages(reader: MessageReader) -> Read:
    return lambda cursor: reader.read([cursor])


def _avro(read: Callable[[ByteCursor, int], Any]) -> Read:
    def whole(cursor: ByteCursor) -> Any:  # noqa: ANN401
        row = read(cursor, 0)
        if cursor.at != cursor.end:
            raise cursor.malformed()
        return row

    return whole
