"""Decodes an event by the rules of the format `keystone-json`, written a second time so that it can be checked."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from keystone_platform.audit.parse import Dead, DeadEvent, Huge, Reason, Repeated, parse
from keystone_platform.spec.types import Array, Field, FieldType, OnTypeError, Scalar, Struct

_TYPE_ERRORS = (Reason.WRONG_TYPE, Reason.OUT_OF_RANGE)
"""What `on_type_error` is about."""

_ARROW = {
    Scalar.STRING: pa.string(),
    Scalar.BOOLEAN: pa.bool_(),
    Scalar.INT: pa.int32(),
    Scalar.BIGINT: pa.int64(),
    Scalar.FLOAT: pa.float32(),
    Scalar.DOUBLE: pa.float64(),
    Scalar.DATE: pa.date32(),
    Scalar.TIMESTAMP: pa.timestamp("us", tz="UTC"),
}

_INT_BOUNDS = {Scalar.INT: 2**31, Scalar.BIGINT: 2**63}

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{0,9}))?)?"
    r"(?:[Zz]|([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?)",
    re.ASCII,
)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_DAY_MICROS = 24 * 60 * 60 * 1_000_000
_MIN_MICROS = (date.min.toordinal() - _EPOCH_ORDINAL) * _DAY_MICROS
_MAX_MICROS = (date.max.toordinal() - _EPOCH_ORDINAL + 1) * _DAY_MICROS - 1
_MAX_OFFSET = timedelta(hours=18)


def arrow_type(kind: FieldType) -> pa.DataType:
    """Return the Arrow type of a declared type; DuckDB reads it as the type that filters are rendered for."""
    if isinstance(kind, Struct):
        return pa.struct([pa.field(field.name, arrow_type(field.type)) for field in kind.fields])
    if isinstance(kind, Array):
        return pa.list_(_ARROW[kind.element])
    return _ARROW[kind]


class Decoder:
    """Decodes payloads into the values of the given columns.

    `null_on_type_error` are dotted paths, as in the plan's source: a value there that does not fit its type is null.
    """

    def __init__(self, columns: Sequence[Field], null_on_type_error: Sequence[str] = ()) -> None:
        self._struct = marked(Struct(tuple(columns)), frozenset(null_on_type_error))
        self.type: pa.StructType = arrow_type(self._struct)

    def decode(self, payload: bytes | None) -> dict[str, Any] | Dead:
        """Return the columns' values (dates as days, timestamps as microseconds), or why the event is dead."""
        try:
            return _typed_object(parse(payload), self._struct)
        except DeadEvent as dead:
            return Dead(dead.code, ".".join(dead.path).replace(".[", "["))


def fits(value: Any, kind: FieldType) -> bool:  # noqa: ANN401 - any JSON
    """Whether a value of `parsed_object` can be declared as that type; null fits every one."""
    try:
        _typed_field(value, Field("", kind))
    except DeadEvent:
        return False
    return True


def fits_text(text: str, kind: Scalar) -> Any:  # noqa: ANN401 - an Arrow value
    """Return what a text is as a value of that type, or the DeadEvent that says why it is none."""
    try:
        return _SCALARS[kind](text, kind)
    except DeadEvent as dead:
        return dead


def _typed_object(value: Any, kind: Struct) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    if not isinstance(value, dict):
        raise DeadEvent(Reason.NOT_OBJECT)
    if isinstance(value, Repeated):
        for field in kind.fields:
            if field.name in value.repeated:
                raise DeadEvent(Reason.DUPLICATE_FIELD, field.name)
    return {field.name: _typed_field(value.get(field.name), field) for field in kind.fields}


def marked(struct: Struct, nulled: frozenset[str], prefix: str = "") -> Struct:
    """Note at the fields which of them become null where they don't fit; `nulled` are paths as in the plan's source."""
    return Struct(tuple(_marked_field(field, nulled, f"{prefix}{field.name}") for field in struct.fields))


def _marked_field(field: Field, nulled: frozenset[str], path: str) -> Field:
    type_ = marked(field.type, nulled, f"{path}.") if isinstance(field.type, Struct) else field.type
    return Field(field.name, type_, OnTypeError.NULL if nulled & {path, "*"} else None)


def _typed_field(value: Any, field: Field) -> Any:  # noqa: ANN401 - any JSON to any Arrow value
    try:
        return _typed(value, field.type)
    except DeadEvent as dead:
        if field.on_type_error is OnTypeError.NULL and dead.code in _TYPE_ERRORS:
            return None
        raise DeadEvent(dead.code, field.name, *dead.path) from dead


def _typed(value: Any, kind: FieldType) -> Any:  # noqa: ANN401 - any JSON to any Arrow value
    if value is None:
        return None
    if isinstance(kind, Struct):
        if not isinstance(value, dict):
            raise DeadEvent(Reason.WRONG_TYPE)
        return _typed_object(value, kind)
    if isinstance(kind, Array):
        if not isinstance(value, list):
            raise DeadEvent(Reason.WRONG_TYPE)
        return [_typed_field(element, Field(f"[{index}]", kind.element)) for index, element in enumerate(value)]
    if isinstance(value, Huge):
        value = _shortened(value.text)
    return _SCALARS[kind](value, kind)


def _shortened(digits: str) -> int:
    """Return a number of that text; beyond every bound if it has too many digits to matter which."""
    if len(digits) <= 1000:
        return int(digits)
    return -(10**1000) if digits.startswith("-") else 10**1000


def _string(value: Any, _kind: Scalar) -> str:  # noqa: ANN401
    if type(value) is not str:
        raise DeadEvent(Reason.WRONG_TYPE)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair, written as an escape
            raise DeadEvent(Reason.NOT_UTF8) from error
    return value


def _boolean(value: Any, _kind: Scalar) -> bool:  # noqa: ANN401
    if type(value) is not bool:
        raise DeadEvent(Reason.WRONG_TYPE)
    return value


def _whole(value: Any, kind: Scalar) -> int:  # noqa: ANN401
    if type(value) is not int:
        raise DeadEvent(Reason.WRONG_TYPE)
    bound = _INT_BOUNDS[kind]
    if not -bound <= value < bound:
        raise DeadEvent(Reason.OUT_OF_RANGE)
    return value


def _fraction(value: Any, kind: Scalar) -> float:  # noqa: ANN401
    if type(value) not in (int, float):
        raise DeadEvent(Reason.WRONG_TYPE)
    try:
        number = float(value)
        if kind is Scalar.FLOAT:
            struct.pack("<f", number)
    except OverflowError as error:
        raise DeadEvent(Reason.OUT_OF_RANGE) from error
    if not math.isfinite(number):
        raise DeadEvent(Reason.OUT_OF_RANGE)
    return number


def _date(value: Any, kind: Scalar) -> int:  # noqa: ANN401
    match = _DATE.fullmatch(_string(value, kind))
    if match is None:
        raise DeadEvent(Reason.WRONG_TYPE)
    return _epoch_day(*map(int, match.groups()))


def _timestamp(value: Any, kind: Scalar) -> int:  # noqa: ANN401
    match = _TIMESTAMP.fullmatch(_string(value, kind))
    if match is None:
        raise DeadEvent(Reason.WRONG_TYPE)
    day, hour, minute, second, fraction, sign, *offset = match.groups()
    hours, minutes, seconds = (int(part or 0) for part in offset)
    shift = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    clock = (int(hour), int(minute), int(second or 0))
    if clock > (23, 59, 59) or clock[1] > 59 or clock[2] > 59 or minutes > 59 or seconds > 59 or shift > _MAX_OFFSET:
        raise DeadEvent(Reason.WRONG_TYPE)
    micros = int((fraction or "").ljust(6, "0")[:6])
    since_midnight = timedelta(hours=clock[0], minutes=clock[1], seconds=clock[2], microseconds=micros)
    local = timedelta(days=_date(day, Scalar.DATE)) + since_midnight
    micros = (local + shift if sign == "-" else local - shift) // timedelta(microseconds=1)
    if not _MIN_MICROS <= micros <= _MAX_MICROS:
        raise DeadEvent(Reason.WRONG_TYPE)
    return micros


def _epoch_day(year: int, month: int, day: int) -> int:
    try:
        return date(year, month, day).toordinal() - _EPOCH_ORDINAL
    except ValueError as error:  # no such day; Python's calendar begins with year 1, as the event format's does
        raise DeadEvent(Reason.WRONG_TYPE) from error


_SCALARS: Mapping[Scalar, Callable[[Any, Scalar], Any]] = {
    Scalar.STRING: _string,
    Scalar.BOOLEAN: _boolean,
    Scalar.INT: _whole,
    Scalar.BIGINT: _whole,
    Scalar.FLOAT: _fraction,
    Scalar.DOUBLE: _fraction,
    Scalar.DATE: _date,
    Scalar.TIMESTAMP: _timestamp,
}
