"""Whether a JSON value is what a declared type takes; see docs/event-format.md. Standard library only."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """Codes of the reasons, as docs/event-format.md lists them."""

    NOT_UTF8 = "not_utf8"
    EMPTY = "empty"
    NOT_JSON = "not_json"
    NOT_OBJECT = "not_object"
    TOO_DEEP = "too_deep"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    DUPLICATE_FIELD = "duplicate_field"


class Dead(Exception):
    """Why the event is dead."""

    def __init__(self, code: Code, path: str = "", text: str = "") -> None:
        super().__init__(": ".join(filter(None, (code, path, text))))


class Misfit(Dead):
    """Only that a value does not fit its type; some fields take null for it."""


Typed = Callable[[Any], None]
"""Raises Dead for a value that a field does not take; is never asked for null."""


class Huge:
    """An integer of more digits than Python converts; it fits no integer type."""


def _string(kind: str, path: str) -> Typed:
    def check(value: Any) -> None:  # noqa: ANN401 - any JSON
        if type(value) is not str:
            raise misfit(path, kind, value)
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Dead(Code.NOT_UTF8, path, "half of a surrogate pair") from None

    return check


def _boolean(kind: str, path: str) -> Typed:
    def check(value: Any) -> None:  # noqa: ANN401 - any JSON
        if type(value) is not bool:
            raise misfit(path, kind, value)

    return check


def _whole(kind: str, path: str) -> Typed:
    bound = 2**31 if kind == "int" else 2**63

    def check(value: Any) -> None:  # noqa: ANN401 - any JSON
        if type(value) is not int and type(value) is not Huge:
            raise misfit(path, kind, value)
        if isinstance(value, Huge) or not -bound <= value < bound:
            raise Misfit(Code.OUT_OF_RANGE, path, f"does not fit {kind}")

    return check


def _fraction(kind: str, path: str) -> Typed:
    def check(value: Any) -> None:  # noqa: ANN401 - any JSON
        if type(value) not in (int, float, Huge):
            raise misfit(path, kind, value)
        try:
            number = math.inf if type(value) is Huge else float(value)
            if kind == "float":
                struct.pack("<f", number)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise Misfit(Code.OUT_OF_RANGE, path, f"does not fit {kind}")

    return check


def _text(kind: str, path: str) -> Typed:
    is_good = _is_date if kind == "date" else _is_timestamp
    example = "a date like 2026-03-01" if kind == "date" else "a timestamp like 2026-03-01T12:00:00Z"
    is_text = _string(kind, path)

    def check(value: Any) -> None:  # noqa: ANN401 - any JSON
        is_text(value)
        if not is_good(value):
            raise Misfit(Code.WRONG_TYPE, path, f"expected {example}")

    return check


_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.\d{0,9})?)?"
    r"(?:[Zz]|([+-])(\d\d)(?::?([0-5]\d)(?::?([0-5]\d))?)?)",
    re.ASCII,
)
_DAY_S = 24 * 3600
_MAX_OFFSET_S = 18 * 3600


def _day(year: str, month: str, day: str) -> int | None:
    try:
        return date(int(year), int(month), int(day)).toordinal()
    except ValueError:
        return None


def _is_date(value: str) -> bool:
    match = _DATE.fullmatch(value)
    return match is not None and _day(*match.groups()) is not None


def _is_timestamp(value: str) -> bool:
    match = _TIME.fullmatch(value)
    if match is None:
        return False
    year, month, day, hour, minute, second, sign, *offset = match.groups()
    ordinal = _day(year, month, day)
    if ordinal is None or sign is None:
        return ordinal is not None
    hours, minutes, seconds = (int(each or 0) for each in offset)
    shift = hours * 3600 + minutes * 60 + seconds
    local = ordinal * _DAY_S + int(hour) * 3600 + int(minute) * 60 + int(second or 0)
    utc_day = (local + shift if sign == "-" else local - shift) // _DAY_S
    return shift <= _MAX_OFFSET_S and 1 <= utc_day <= date.max.toordinal()


def misfit(path: str, expected: str, value: Any) -> Misfit:  # noqa: ANN401 - any JSON
    """Return what to raise for a value of another kind than expected."""
    return Misfit(Code.WRONG_TYPE, path, f"expected {expected}, got {_kind(value)}")


def _kind(value: Any) -> str:  # noqa: ANN401 - any JSON
    return "object" if isinstance(value, dict) else _KINDS.get(type(value), "integer")


_KINDS = {
    list: "array",
    str: "string",
    bool: "boolean",
    float: "number with a fraction or exponent",
}

SCALARS: Mapping[str, Callable[[str, str], Typed]] = {
    "string": _string,
    "boolean": _boolean,
    "int": _whole,
    "bigint": _whole,
    "float": _fraction,
    "double": _fraction,
    "date": _text,
    "timestamp": _text,
}
