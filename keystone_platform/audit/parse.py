"""Parses an event as the format `keystone-json` does, and says why it can't be."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

MAX_DEPTH = 64
"""Objects and arrays within each other, the event itself included."""

_BLANKS = " \t\n\r"
"""JSON's white space."""


class Reason(StrEnum):
    """Codes of the reasons, as docs/event-format.md lists them."""

    TOO_LARGE = "too_large"
    NO_VALUE = "no_value"
    EMPTY = "empty"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_OBJECT = "not_object"
    TOO_DEEP = "too_deep"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    DUPLICATE_FIELD = "duplicate_field"
    NOT_FRAMED = "not_framed"
    UNKNOWN_SCHEMA = "unknown_schema"
    UNUSABLE_SCHEMA = "unusable_schema"
    NOT_AVRO = "not_avro"
    NOT_PROTOBUF = "not_protobuf"


@dataclass(frozen=True, slots=True)
class Dead:
    """Why an event can't be decoded.

    Where several things are wrong with an event, the router may name another one: it reads from the first byte on.

    Attributes:
        field: dotted path of the declared field; empty when it is the event as a whole.
    """

    code: Reason
    field: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.field}" if self.field else self.code


class DeadEvent(Exception):
    """The event can't be decoded."""

    def __init__(self, code: Reason, *path: str) -> None:
        """Take the reason, and the names of the fields that lead to the declared one."""
        super().__init__(code)
        self.code = code
        self.path = path


class Repeated(dict[str, Any]):
    """An object in which some name occurs twice."""

    repeated: frozenset[str]


class Huge:
    """A number of more digits than Python converts; it fits no declared type."""

    def __init__(self, text: str) -> None:
        self.text = text


def parsed_object(payload: bytes | None) -> dict[str, Any] | None:
    """Return the JSON object that the payload is, nothing of it typed; None where no router could decode any field."""
    try:
        document = parse(payload)
    except DeadEvent:
        return None
    return document if isinstance(document, dict) else None


def parse(payload: bytes | None) -> Any:  # noqa: ANN401 - any JSON
    """Return the JSON value that the payload is; raises DeadEvent when it is none. An object may be a Repeated."""
    if payload is None:
        raise DeadEvent(Reason.NO_VALUE)
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DeadEvent(Reason.NOT_UTF8) from error
    if not text.strip(_BLANKS):
        raise DeadEvent(Reason.EMPTY)
    document = _document(text)
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(document) > MAX_DEPTH:
        raise DeadEvent(Reason.TOO_DEEP)
    return document


def _document(text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        try:
            return _FAST.decode(text)
        except json.JSONDecodeError:
            raise
        except ValueError:  # an integer beyond Python's limit of digits
            return _HUGE.decode(text)
    except ValueError as error:
        raise DeadEvent(Reason.NOT_JSON) from error
    except RecursionError as error:
        raise DeadEvent(Reason.TOO_DEEP) from error


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
    marked = Repeated(built)
    marked.repeated = frozenset(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return marked


def _refuse_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(name, name, 0)


_FAST = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)
_HUGE = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=Huge)
