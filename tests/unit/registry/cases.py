"""Events in Avro and Protobuf, made at random from a seed by the official encoders, some of them broken afterwards."""

from __future__ import annotations

import io
import json
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import fastavro
from google.protobuf import message_factory

from keystone_platform.audit.framed import FramedDecoder
from keystone_platform.audit.parse import Dead
from keystone_platform.audit.proto_schema import message_of
from keystone_platform.gateways.schema_registry import Reference, RegisteredSchema
from keystone_platform.spec.schema import struct_of

SCALARS = ("string", "boolean", "int", "bigint", "float", "double", "date", "timestamp")
TEXTS = ("", "plain", "é😀", "2026-03-01", "2026-03-01T12:00:00.5Z", "2026-02-30", "x" * 40)
LONGS = (0, 1, -1, 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, 16_777_217, 2**63 - 1, -(2**63), 1_772_366_400_000)
INTS = (0, 1, -1, 2**31 - 1, -(2**31), 16_777_217, 20_513)
DOUBLES = (0.0, -0.0, 1.5, 0.1, 1e39, 3.4028235677973366e38, -1e308, float("nan"), float("inf"))
FLOATS = (0.0, 1.5, -2.5, float("inf"), 3.4028234663852886e38)
NAMES = ("a", "b", "userId", "x1", "type")


@dataclass(frozen=True)
class Case:
    """One event, and all that decoding it takes."""

    format: str
    columns: dict[str, Any]
    nulls: tuple[str, ...]
    schema: RegisteredSchema
    imports: dict[str, RegisteredSchema]
    payload: bytes

    def by_id(self, schema_id: int) -> RegisteredSchema | None:
        return self.schema if schema_id == 1 else None

    def by_subject(self, subject: str, version: int) -> RegisteredSchema | None:
        return self.imports.get(subject)

    def decoded(self) -> dict[str, Any] | Dead:
        columns = struct_of(self.columns)
        assert columns is not None
        return FramedDecoder(columns.fields, self.nulls, self.format, self).decode(self.payload)

    def as_json(self) -> dict[str, Any]:
        """Return the case as the Java test reads it, with what Python makes of it."""
        found = self.decoded()
        return {
            "format": self.format,
            "columns": self.columns,
            "nulls": list(self.nulls),
            "type": self.schema.type,
            "schema": self.schema.text,
            "imports": {name: each.text for name, each in self.imports.items()},
            "payload": self.payload.hex(),
            "expected": {"dead": str(found.code)} if isinstance(found, Dead) else {"row": _bits(found)},
        }


def _bits(value: Any) -> Any:
    """Write floats as the digits of their bits: two languages write decimals differently."""
    if isinstance(value, float):
        return struct.pack(">d", value).hex()
    if isinstance(value, dict):
        return {name: _bits(each) for name, each in value.items()}
    return [_bits(each) for each in value] if isinstance(value, list) else value


def cases(seed: int, count: int) -> list[Case]:
    """Return so many cases, the same for the same seed."""
    draw = random.Random(seed)
    return [(_avro_case if index % 2 else _proto_case)(draw) for index in range(count)]


def _broken(draw: random.Random, payload: bytes) -> bytes:
    kind = draw.randrange(16)
    if kind == 0:
        return payload[: draw.randrange(len(payload) + 1)]
    if kind == 1:
        return payload + bytes([draw.randrange(256)])
    if kind in (2, 3) and payload:
        at = draw.randrange(len(payload))
        return payload[:at] + bytes([draw.randrange(256)]) + payload[at + 1 :]
    if kind == 4:
        return payload[:5] + draw.randbytes(draw.randrange(20))
    return payload


def _nulls(draw: random.Random, columns: dict[str, Any]) -> tuple[str, ...]:
    if draw.random() < 0.6:
        return ()
    return ("*",) if draw.random() < 0.4 else tuple(name for name in columns if draw.random() < 0.5)


def _declared(draw: random.Random, fitting: Any) -> Any:
    return fitting if draw.random() < 0.8 else _any_type(draw)


def _any_type(draw: random.Random) -> Any:
    kind = draw.randrange(10)
    if kind == 0:
        return {"a": draw.choice(SCALARS), "b": draw.choice(SCALARS)}
    return f"array<{draw.choice(SCALARS)}>" if kind == 1 else draw.choice(SCALARS)


# --- Avro ---


def _avro_case(draw: random.Random) -> Case:
    maker = _Avro(draw)
    schema, columns, value = maker.record(0, "Event")
    written = io.BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(json.loads(json.dumps(schema))), value)
    payload = _broken(draw, b"\0\0\0\0\1" + written.getvalue())
    return Case("avro", columns, _nulls(draw, columns), RegisteredSchema("AVRO", json.dumps(schema)), {}, payload)


class _Avro:
    """Makes a schema, columns that mostly fit it, and a value of it."""

    def __init__(self, draw: random.Random) -> None:
        self._draw, self._types = draw, 0

    def record(self, depth: int, name: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        fields, columns, value = [], {}, {}
        for each in self._draw.sample(NAMES, self._draw.randint(1, len(NAMES))):
            type_, fitting, made = self.type(depth + 1)
            fields.append({"name": each, "type": type_})
            value[each] = made
            if self._draw.random() < 0.8:
                columns[each] = _declared(self._draw, fitting)
        columns = columns or {"missing": "int"}
        return {"type": "record", "name": name, "namespace": "test", "fields": fields}, columns, value

    def type(self, depth: int) -> tuple[Any, Any, Any]:
        """Return a type, the column that fits it, and a value."""
        draw = self._draw
        kind = draw.randrange(7 if depth < 4 else 4)
        if kind < 4:
            return self._plain()
        self._types += 1
        if kind == 4:
            return self.record(depth, f"R{self._types}")
        if kind == 5:
            type_, fitting, made = self._plain()
            if draw.random() < 0.5:
                keyed = dict.fromkeys(draw.sample(NAMES, 2), made)
                return {"type": "map", "values": type_}, dict.fromkeys((*keyed, "other"), fitting), keyed
            element = ["null", type_] if draw.random() < 0.5 else type_
            items = [made] * draw.randrange(4)
            return {"type": "array", "items": element}, f"array<{fitting}>", items
        type_, fitting, made = self.type(depth + 1)
        if isinstance(type_, list):
            return type_, fitting, made
        is_first = draw.random() < 0.5
        return ["null", type_] if is_first else [type_, "null"], fitting, draw.choice([made, made, None])

    def _plain(self) -> tuple[Any, str, Any]:
        draw = self._draw
        choices: list[Callable[[], tuple[Any, str, Any]]] = [
            lambda: ("boolean", "boolean", draw.random() < 0.5),
            lambda: ("int", draw.choice(("int", "bigint", "float", "double")), draw.choice(INTS)),
            lambda: ("long", draw.choice(("int", "bigint", "float", "double")), draw.choice(LONGS)),
            lambda: ("float", draw.choice(("float", "double")), draw.choice(FLOATS)),
            lambda: ("double", draw.choice(("float", "double")), draw.choice(DOUBLES)),
            lambda: ("string", draw.choice(("string", "string", "date", "timestamp")), draw.choice(TEXTS)),
            lambda: ("bytes", "string", b"\xffab"),
            self._enum,
            lambda: ({"type": "int", "logicalType": "date"}, "date", draw.choice((date(2026, 3, 1), date(1, 1, 1)))),
            lambda: self._time("timestamp-millis"),
            lambda: self._time("timestamp-micros"),
            lambda: self._time("timestamp-nanos"),
            lambda: self._time("local-timestamp-micros"),
            self._decimal,
            lambda: ({"type": "string", "logicalType": "uuid"}, "string", "6fa459ea-ee8a-3ca4-894e-db77e160355e"),
            lambda: ({"type": "long", "logicalType": "unheard-of"}, "bigint", draw.choice(LONGS)),
            self._fixed,
        ]
        return draw.choice(choices)()

    def _time(self, logical: str) -> tuple[Any, str, Any]:
        return (
            {"type": "long", "logicalType": logical},
            "timestamp",
            self._draw.choice((0, -1, 1_772_366_400_123, *LONGS)),
        )

    def _enum(self) -> tuple[Any, str, Any]:
        self._types += 1
        symbols = ["A", "B", "C"]
        return {"type": "enum", "name": f"E{self._types}", "symbols": symbols}, "string", self._draw.choice(symbols)

    def _decimal(self) -> tuple[Any, str, Any]:
        scale = self._draw.choice((0, 0, 2, 5))
        value = Decimal(self._draw.choice(LONGS)).scaleb(-scale)
        fitting = self._draw.choice(("string", "float", "double", "bigint", "int"))
        return {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": scale}, fitting, value

    def _fixed(self) -> tuple[Any, str, Any]:
        self._types += 1
        logical = self._draw.choice(
            ({}, {"logicalType": "uuid"}, {"logicalType": "decimal", "precision": 9, "scale": 2})
        )
        schema = {"type": "fixed", "name": f"F{self._types}", "size": 16, **logical}
        if logical.get("logicalType") == "decimal":
            return schema, "double", Decimal("12345.67")
        return schema, "string", bytes(range(16))


# --- Protobuf ---

_PROTO = {
    "double": (("float", "double"), DOUBLES),
    "float": (("float", "double"), FLOATS),
    "int32": (("int", "bigint", "float", "double"), INTS),
    "int64": (("int", "bigint", "float", "double"), LONGS),
    "uint32": (("int", "bigint", "double"), (0, 1, 2**32 - 1)),
    "uint64": (("bigint", "float", "double"), (0, 1, 2**63, 2**64 - 1)),
    "sint32": (("int", "bigint"), INTS),
    "sint64": (("bigint", "double"), LONGS),
    "fixed32": (("bigint",), (0, 2**32 - 1)),
    "fixed64": (("bigint", "float"), (0, 2**63 - 1, 2**64 - 1)),
    "sfixed32": (("int",), INTS),
    "sfixed64": (("bigint",), LONGS),
    "bool": (("boolean",), (True, False)),
    "string": (("string", "string", "date", "timestamp"), TEXTS),
    "bytes": (("string",), (b"", b"\xff")),
    "Kind": (("string",), (0, 1, 2)),
}
"""Type to columns that fit it and values of it."""

_IMPORTED = 'syntax = "proto3";\npackage shared;\nmessage Place { string a = 1; int64 b = 2; }\n'


def _proto_case(draw: random.Random) -> Case:
    maker = _Proto(draw)
    body, columns = maker.message(0)
    text = (
        f'syntax = "{maker.syntax}"; // random\npackage test;\nimport "google/protobuf/timestamp.proto";\n'
        'import "google/protobuf/wrappers.proto";\nimport "shared/place.proto";\n/* the event */\n'
        'option java_package = "x.y";\nenum Kind { option allow_alias = true; ZERO = 0; NOLL = 0; ONE = 1; TWO = 2; }\n'
        f"message Unused {{}}\nmessage Event {{\n{body}}}\n"
    )
    reference = Reference("shared/place.proto", "place", 1)
    imports = {"place": RegisteredSchema("PROTOBUF", _IMPORTED)}
    event = message_factory.GetMessageClass(message_of(text, {"shared/place.proto": _IMPORTED}, [1]))
    laid = b"".join(maker.filled(event()) for _ in range(draw.choice((1, 1, 1, 2))))
    unknown = draw.choice((b"", b"", b"\xf8\x01\x05", b"\xfb\x01\x08\x01\xfc\x01"))
    payload = _broken(draw, b"\0\0\0\0\1\x02\x02" + laid + unknown)
    schema = RegisteredSchema("PROTOBUF", text, (reference,))
    return Case("protobuf", columns, _nulls(draw, columns), schema, imports, payload)


class _Proto:
    """Makes a message's text, columns that mostly fit it, and messages."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self.syntax = draw.choice(("proto2", "proto3", "proto3"))
        self._nested = 0

    def message(self, depth: int) -> tuple[str, dict[str, Any]]:
        lines, columns = [], {}
        draw, number = self._draw, 0
        for name in draw.sample(NAMES, draw.randint(1, len(NAMES))):
            number += draw.randint(1, 20)
            line, fitting = self._field(depth, name, number)
            lines.append(line)
            if draw.random() < 0.8:
                columns[name] = _declared(draw, fitting)
        if draw.random() < 0.4:
            lines.append(
                f"oneof choice {{ string c1 = {number + 1}; int64 c2 = {number + 2}; shared.Place c3 = {number + 3}; }}"
            )
            chosen = {"c1": "string", "c2": "bigint", "c3": {"a": "string"}}
            columns |= {name: chosen[name] for name in draw.sample(list(chosen), 2)}
        lines.append("reserved 900 to 910;" if self._draw.random() < 0.5 else 'reserved "gone";')
        return "\n".join(lines) + "\n", columns or {"missing": "int"}

    def _field(self, depth: int, name: str, number: int) -> tuple[str, Any]:
        draw = self._draw
        optional = "optional " if self.syntax == "proto2" or draw.random() < 0.3 else ""
        kind = draw.choice(list(_PROTO))
        fitting = draw.choice(_PROTO[kind][0])
        match draw.randrange(12 if depth < 3 else 9):
            case 0:
                return f"repeated {kind} {name} = {number};", f"array<{fitting}>"
            case 1:
                return f"map<string, {kind}> {name} = {number};", {"a": fitting, "b": fitting}
            case 2:
                return f"{optional}google.protobuf.Timestamp {name} = {number};", "timestamp"
            case 3:
                wrapped = draw.choice((("Int64Value", "bigint"), ("StringValue", "string"), ("DoubleValue", "double")))
                return f"{optional}google.protobuf.{wrapped[0]} {name} = {number};", wrapped[1]
            case 4:
                return f"{optional}shared.Place {name} = {number};", {"a": "string", "b": "bigint"}
            case 5:
                return f"map<string, shared.Place> {name} = {number};", {"a": {"b": "bigint"}, "x1": {"a": "string"}}
            case 9 | 10:
                self._nested += 1
                body, columns = self.message(depth + 1)
                return f"message N{self._nested} {{\n{body}}}\n{optional}N{self._nested} {name} = {number};", columns
            case _:
                return f"{optional}{kind} {name} = {number} [deprecated = true];", fitting

    def filled(self, message: Any) -> bytes:
        self._fill(message)
        laid: bytes = message.SerializeToString()
        return laid

    def _fill(self, message: Any) -> None:
        for field in message.DESCRIPTOR.fields:
            if self._draw.random() < 0.75:
                self._set(message, field)

    def _set(self, message: Any, field: Any) -> None:
        here = getattr(message, field.name)
        nested = field.message_type
        if nested is not None and nested.GetOptions().map_entry:
            value = nested.fields_by_name["value"]
            for key in self._draw.sample(("a", "b", "x1", "z", ""), 2):
                if value.message_type is None:
                    here[key] = self._value(value)
                else:
                    self._fill(here[key])
        elif nested is not None and field.label != field.LABEL_REPEATED:
            here.SetInParent()
            if nested.full_name == "google.protobuf.Timestamp":
                here.seconds, here.nanos = self._draw.choice(LONGS), self._draw.choice((0, 123_456_789, -1, 10**9))
            else:
                self._fill(here)
        elif field.label == field.LABEL_REPEATED:
            here.extend(self._value(field) for _ in range(self._draw.randrange(4)))
        else:
            setattr(message, field.name, self._value(field))

    def _value(self, field: Any) -> Any:
        names = {getattr(type(field), f"TYPE_{name.upper()}"): name for name in _PROTO if name != "Kind"}
        return self._draw.choice(_PROTO[names.get(field.type, "Kind")][1])
