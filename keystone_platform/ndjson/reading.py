"""What a line says as an event: its payload, key and time; or why it is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from keystone_platform.cloudevents.event import Malformed, point_in_time

LARGEST_KEY = 64 * 1024

Validate = Callable[[bytes], str | None]


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that may be sent."""

    payload: bytes
    key: bytes | None
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that is no event.

    Attributes:
        reason: `not_utf8`, `not_json`, `not_object`, `too_long`, `bad_key`, `bad_time`, or `invalid` of a validation.
        text: the same for people; it holds nothing of the line.
    """

    reason: str
    text: str


@dataclass(frozen=True)
class Reading:
    """How lines are read.

    Attributes:
        key: dotted path of the field that becomes the record's key, as text; no key where it is missing or null.
        time: dotted path of the field that says when it happened; the present where it is missing or null.
        needs_object: whether a line has to be an object.
        validate: tells what is wrong with a payload, else None.
    """

    key: str | None = None
    time: str | None = None
    needs_object: bool = True
    validate: Validate | None = None

    def event(self, line: bytes) -> Draft | Bad:
        """Return the event that the line is."""
        try:
            value = _DECODER.decode(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            return Bad("not_utf8", f"not UTF-8 at byte {error.start} of the line")
        except json.JSONDecodeError as error:
            return Bad("not_json", f"not JSON at character {error.pos} of the line")
        except (ValueError, RecursionError) as error:
            if isinstance(error, RecursionError) or (kind := _kind(line)) is None:
                return Bad("not_json", "not JSON, or nested too deep")
            value = kind()  # a number of more digits than Python converts: good JSON, and no field is looked at
        if self.needs_object and not isinstance(value, dict):
            return Bad("not_object", "JSON, but no object")
        if self.validate and (wrong := self.validate(line)):
            return Bad("invalid", wrong)
        try:
            return Draft(line, self._key(value), self._time(value))
        except _Wrong as error:
            return error.bad

    def _key(self, event: Any) -> bytes | None:  # noqa: ANN401 - any JSON
        found = _field(event, self.key)
        match found:
            case None:
                return None
            case bool():
                return b"true" if found else b"false"
            case int():
                return b"%d" % found
            case str():
                return self._key_text(found)
        raise _Wrong(Bad("bad_key", f"{self.key} is neither text nor a whole number nor a boolean"))

    def _key_text(self, text: str) -> bytes:
        try:
            key = text.encode()
        except UnicodeEncodeError:
            raise _Wrong(Bad("bad_key", f"{self.key} holds half of a surrogate pair")) from None
        if len(key) > LARGEST_KEY:
            raise _Wrong(Bad("bad_key", f"{self.key} has {len(key)} bytes, {LARGEST_KEY} at most"))
        return key

    def _time(self, event: Any) -> datetime | None:  # noqa: ANN401 - any JSON
        found = _field(event, self.time)
        if found is None:
            return None
        if type(found) is str:
            try:
                return point_in_time(found)
            except Malformed:
                pass
        raise _Wrong(Bad("bad_time", f"{self.time} is no timestamp like 2026-03-01T12:00:00Z"))


class _Wrong(Exception):
    def __init__(self, bad: Bad) -> None:
        super().__init__(bad.text)
        self.bad = bad


def _field(event: Any, path: str | None) -> Any:  # noqa: ANN401 - any JSON
    if path is None:
        return None
    for name in path.split("."):
        event = event.get(name) if isinstance(event, dict) else None
    return event


def _refuse(constant: str) -> NoReturn:
    raise json.JSONDecodeError(constant, constant, 0)


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_WITHOUT_NUMBERS = json.JSONDecoder(parse_constant=_refuse, parse_int=str, parse_float=str)


def _kind(line: bytes) -> type | None:
    """Return what kind of value the JSON text is, None if it is none; numbers are not converted."""
    try:
        return type(_WITHOUT_NUMBERS.decode(line.decode("utf-8")))
    except (ValueError, RecursionError):
        return None
