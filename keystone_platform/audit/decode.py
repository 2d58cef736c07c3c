"""Decodes an event by the rules of the format `keystone-json`, written a second time so that it can be checked."""

from __future__ import annotations

import json
import math
import re
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NoReturn

import pyarrow as pa

from keystone_platform.spec.types import Field, FieldType, Scalar, Struct

MAX_DEPTH = 64
"""Objects and arrays within each other, the event itself included."""

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


class _Dead(Exception):
    """The event can't be decoded."""


class _Repeated(dict[str, Any]):
    """An object in which some name occurs twice."""

    repeated: frozenset[str]


class _Huge:
    """A number of more digits than Python converts; it fits no declared type."""

    def __init__(self, text: str) -> None:
        self.text = text


def arrow_type(kind: FieldType) -> pa.DataType:
    """Return the Arrow type of a declared type; DuckDB reads it as the type that filters are rendered for."""
    if isinstance(kind, Struct):
        return pa.struct([pa.field(field.name, arrow_type(field.type)) for field in kind.fields])
    return _ARROW[kind]


class Decoder:
    """Decodes payloads into the values of the given columns."""

    def __init__(self, columns: Sequence[Field]) -> None:
        self._struct = Struct(tuple(columns))
        self.type: pa.StructType = arrow_type(self._struct)

    def decode(self, payload: bytes | None) -> dict[str, Any] | None:
        """Return the columns' values (dates as days, timestamps as microseconds), or None if the event is dead."""
        try:
            return _typed_object(_parse(payload), self._struct)
        except _Dead:
            return None


def _parse(payload: bytes | None) -> Any:  # noqa: ANN401 - any JSON
    try:
        text = (payload or b"").decode("utf-8")
        try:
            document = _FAST.decode(text)
        except json.JSONDecodeError:
            raise
        except ValueError:  # an integer beyond Python's limit of digits
            document = _HUGE.decode(text)
    except (ValueError, RecursionError) as error:
        raise _Dead from error
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(document) > MAX_DEPTH:
        raise _Dead
    return document


def _depth(value: Any) -> int:  # noqa: ANN401 - any JSON
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) == len(pairs):
        return built
    marked = _Repeated(built)
    marked.repeated = frozenset(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return marked


def _refuse_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(name, name, 0)


_FAST = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)
_HUGE = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_Huge)


def _typed_object(value: Any, kind: Struct) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    if not isinstance(value, dict):
        raise _Dead
    if isinstance(value, _Repeated) and any(field.name in value.repeated for field in kind.fields):
        raise _Dead
    return {field.name: _typed(value.get(field.name), field.type) for field in kind.fields}


def _typed(value: Any, kind: FieldType) -> Any:  # noqa: ANN401 - any JSON to any Arrow value
    if value is None:
        return None
    if isinstance(kind, Struct):
        return _typed_object(value, kind)
    if isinstance(value, _Huge):
        value = _shortened(value.text)
    return _SCALARS[kind](value, kind)


def _shortened(digits: str) -> int | float:
    """Return a number of that text; beyond every bound if it has too many digits to matter which."""
    short = len(digits) <= 1000
    return int(digits) if short else math.copysign(math.inf, float(digits))


def _string(value: Any, _kind: Scalar) -> str:  # noqa: ANN401
    if type(value) is not str:
        raise _Dead
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair, written as an escape
            raise _Dead from error
    return value


def _boolean(value: Any, _kind: Scalar) -> bool:  # noqa: ANN401
    if type(value) is not bool:
        raise _Dead
    return value


def _whole(value: Any, kind: Scalar) -> int:  # noqa: ANN401
    bound = _INT_BOUNDS[kind]
    if type(value) is not int or not -bound <= value < bound:
        raise _Dead
    return value


def _fraction(value: Any, kind: Scalar) -> float:  # noqa: ANN401
    if type(value) not in (int, float):
        raise _Dead
    try:
        number = float(value)
        if kind is Scalar.FLOAT:
            struct.pack("<f", number)
    except OverflowError as error:
        raise _Dead from error
    if not math.isfinite(number):
        raise _Dead
    return number


def _date(value: Any, _kind: Scalar) -> int:  # noqa: ANN401
    match = _DATE.fullmatch(value) if type(value) is str else None
    if match is None:
        raise _Dead
    return _epoch_day(*map(int, match.groups()))


def _timestamp(value: Any, _kind: Scalar) -> int:  # noqa: ANN401
    match = _TIMESTAMP.fullmatch(value) if type(value) is str else None
    if match is None:
        raise _Dead
    day, hour, minute, second, fraction, sign, *offset = match.groups()
    hours, minutes, seconds = (int(part or 0) for part in offset)
    shift = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    clock = (int(hour), int(minute), int(second or 0))
    if clock > (23, 59, 59) or clock[1] > 59 or clock[2] > 59 or minutes > 59 or seconds > 59 or shift > _MAX_OFFSET:
        raise _Dead
    micros = int((fraction or "").ljust(6, "0")[:6])
    since_midnight = timedelta(hours=clock[0], minutes=clock[1], seconds=clock[2], microseconds=micros)
    local = timedelta(days=_date(day, Scalar.DATE)) + since_midnight
    micros = (local + shift if sign == "-" else local - shift) // timedelta(microseconds=1)
    if not _MIN_MICROS <= micros <= _MAX_MICROS:
        raise _Dead
    return micros


def _epoch_day(year: int, month: int, day: int) -> int:
    try:
        return date(year, month, day).toordinal() - _EPOCH_ORDINAL
    except ValueError as error:  # no such day; Python's calendar begins with year 1, as the event format's does
        raise _Dead from error


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
