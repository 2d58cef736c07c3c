"""Random schemas, and random events that nearly fit them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from keystone_platform.spec.types import Array, Field, FieldType, OnTypeError, Scalar, Struct

NAMES = ("a", "b", "userId", "type", "x1", "on_type_error")

_SCALAR = st.sampled_from(list(Scalar))
_POLICY = st.sampled_from([None, None, OnTypeError.NULL, OnTypeError.DEAD_LETTER])


def _structs(inner: st.SearchStrategy[FieldType]) -> st.SearchStrategy[Struct]:
    fields = st.builds(Field, st.sampled_from(NAMES), inner, _POLICY)
    return st.lists(fields, min_size=1, max_size=5, unique_by=lambda field: field.name).map(
        lambda found: Struct(tuple(found))
    )


SCHEMAS: st.SearchStrategy[Struct] = _structs(st.recursive(_SCALAR | st.builds(Array, _SCALAR), _structs, max_leaves=4))

_TEXTS = st.sampled_from(
    [
        "",
        "text",
        "é\u0000\ud800",
        "😀",
        "2026-03-01",
        "2026-02-30",
        "0000-01-01",
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00.1234567+02:00",
        "2026-03-01T12:00:00",
        "9999-12-31T23:59:59-00:01",
        "2026-03-01t12:00z",
        "2026-03-01T12:00:00+18:01",
    ]
)
_NUMBERS = st.sampled_from(
    [0, 1, -1, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 0.5, 1.0, -0.0, 1e39, 3.5e38, 1e308]
)
_LITERALS = st.sampled_from([None, True, False, [], {}, [None], [1, "a"]])
_ANY = _TEXTS | _NUMBERS | _LITERALS


def _value(kind: FieldType) -> st.SearchStrategy[Any]:
    if isinstance(kind, Struct):
        return _ANY | _object(kind) | _object(kind)
    if isinstance(kind, Array):
        return _ANY | st.lists(_value(kind.element), max_size=3)
    fitting = {
        Scalar.STRING: _TEXTS,
        Scalar.BOOLEAN: st.booleans(),
        Scalar.INT: st.integers(-(2**31), 2**31 - 1),
        Scalar.BIGINT: st.integers(-(2**63), 2**63 - 1),
        Scalar.FLOAT: st.floats(allow_nan=False, allow_infinity=False, width=32),
        Scalar.DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
        Scalar.DATE: st.dates().map(str),
        Scalar.TIMESTAMP: st.datetimes().map(lambda time: f"{time.isoformat()}Z"),
    }[kind]
    return fitting | fitting | fitting | _ANY


def _object(kind: Struct) -> st.SearchStrategy[dict[str, Any]]:
    declared = {field.name: _value(field.type) for field in kind.fields}
    return st.fixed_dictionaries({}, optional={**declared, "undeclared": _ANY})


def _payload(event: Any, mangled: int, repeated: bool) -> bytes:
    text = json.dumps(event, ensure_ascii=mangled % 2 == 0)
    if repeated and text.startswith("{") and len(text) > 2:
        text = text[:-1] + "," + text[1:]
    payload = text.encode("utf-8", "surrogatepass")
    return payload if mangled < 20 else payload[: mangled - 20] + b"\xff" * (mangled % 3) + payload[mangled - 19 :]


def payloads(schema: Struct) -> st.SearchStrategy[bytes]:
    """Return payloads that mostly fit, some of them cut, mangled, or with fields twice."""
    events = _object(schema) | _object(schema) | _object(schema) | _ANY
    return st.builds(_payload, events, st.integers(0, 30), st.sampled_from([False] * 9 + [True]))
