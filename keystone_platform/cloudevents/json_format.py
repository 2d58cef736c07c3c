"""Structured and batched mode: events in the JSON format. The text of `data` becomes the payload as it stands.

To parse `data` and write it anew would change it: 1.10 becomes 1.1, 1e400 infinity, a repeated field is lost. So the
event's own members are walked through one by one, and `data` is cut out of the text.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Sequence
from typing import Any, NoReturn

from keystone_platform.cloudevents.event import CONTENT_TYPE, CloudEvent, Malformed, event_of

DATA, DATA_BASE64 = "data", "data_base64"

_ASSUMED_TYPE = "application/json"
_SPACE = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r'"([a-z0-9_]+)"[ \t\n\r]*:[ \t\n\r]*"([^"\\\x00-\x1f]*)"')


class _Number(str):
    """A number without fraction and exponent, as it stands."""


class _Fraction(str):
    """Any other number, as it stands."""


class _Broken(Exception):
    """The text is no JSON at this place."""


def _refuse(_constant: str) -> NoReturn:
    raise _Broken


# numbers are not converted: one with a million digits would take a minute
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=_Number, parse_float=_Fraction)


def read_structured(body: bytes) -> CloudEvent:
    """Return the event that the body is.

    Raises:
        Malformed: it is no JSON object in UTF-8, or see `event_of`; `place` is the member's name.
    """
    text = _text(body)
    start = _space(text, 0)
    found, end = _element(text, start)
    if (end := _space(text, end)) != len(text):
        raise Malformed(place="", text=f"not JSON: something follows the event at character {end}")
    if isinstance(found, Malformed):
        raise found
    return found


def read_batch(body: bytes, most: int) -> Sequence[CloudEvent | Malformed]:
    """Return each event of the batch, or what is wrong with it; `place` begins with its number from 0, as `[3].time`.

    Args:
        body: the whole of it.
        most: events that are taken at once.

    Raises:
        Malformed: the body as a whole is no JSON array in UTF-8.
        TooMany: it holds more events than `most`.
    """
    text = _text(body)
    place = _space(text, 0)
    if text[place : place + 1] != "[":
        raise Malformed(place="", text="a batch is a JSON array of events")
    events: list[CloudEvent | Malformed] = []
    place = _space(text, place + 1)
    is_over = text[place : place + 1] == "]"
    while not is_over:
        if len(events) >= most:
            raise TooMany(most)
        found, place = _element(text, place)
        if isinstance(found, Malformed):
            number = f"[{len(events)}]"
            found = Malformed(place=f"{number}.{found.place}" if found.place else number, text=found.text)
        events.append(found)
        place = _space(text, place)
        is_over = text[place : place + 1] == "]"
        if not is_over:
            place = _space(text, _expect(text, place, ","))
    if (end := _space(text, place + 1)) != len(text):
        raise Malformed(place="", text=f"not JSON: something follows the batch at character {end}")
    return events


class TooMany(Exception):
    """A batch of more events than are taken at once."""

    def __init__(self, most: int) -> None:
        super().__init__(f"a batch has {most:,} events at most")


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(place="", text=f"not UTF-8 at byte {error.start}") from None


def _element(text: str, start: int) -> tuple[CloudEvent | Malformed, int]:
    """Return the event that begins there, and where it ends; a Malformed if the JSON is good and the event is not."""
    if text[start : start + 1] != "{":
        _, end = _value(text, start)
        return Malformed(place="", text="an event is a JSON object"), end
    members: dict[str, Any] = {}
    spans: dict[str, tuple[int, int]] = {}
    twice = ""
    place = _space(text, start + 1)
    is_over = text[place : place + 1] == "}"
    while not is_over:
        name, value, span = _plain_member(text, place) or _member(text, place)
        twice = name if name in members else twice
        members[name], spans[name] = value, span
        place = _space(text, span[1])
        is_over = text[place : place + 1] == "}"
        if not is_over:
            place = _space(text, _expect(text, place, ","))
            _expect(text, place, '"')
    if twice:
        return Malformed(place=twice[:80], text="occurs twice"), place + 1
    try:
        return _event(text, members, spans), place + 1
    except Malformed as error:
        return error, place + 1


def _plain_member(text: str, place: int) -> tuple[str, Any, tuple[int, int]] | None:
    """Return the member that begins there if it is a text without escapes, as most are; else None."""
    match = _PLAIN.match(text, place)
    if match is None:
        return None
    begin, end = match.span(2)
    return match[1], match[2], (begin - 1, end + 1)


def _member(text: str, place: int) -> tuple[str, Any, tuple[int, int]]:
    """Return the name, the value and its place of the member that begins there."""
    _expect(text, place, '"')
    name, place = _value(text, place)
    place = _space(text, _expect(text, _space(text, place), ":"))
    value, end = _value(text, place)
    return name, value, (place, end)


def _event(text: str, members: dict[str, Any], spans: dict[str, tuple[int, int]]) -> CloudEvent:
    attributes = {
        name: _attribute(name, value)
        for name, value in members.items()
        if value is not None and name not in (DATA, DATA_BASE64)
    }
    return event_of(*_payload(text, members, spans, attributes))


def _payload(
    text: str, members: dict[str, Any], spans: dict[str, tuple[int, int]], attributes: dict[str, str]
) -> tuple[dict[str, str], bytes]:
    """Return the attributes, with the content type that is implied, and the payload."""
    if DATA in members and members.get(DATA_BASE64) is not None:
        raise Malformed(place=DATA_BASE64, text="excludes data: an event has one of them")
    if (encoded := members.get(DATA_BASE64)) is not None:
        return attributes, _from_base64(encoded)
    if DATA not in members:
        return attributes, b""
    if _is_json(attributes.get(CONTENT_TYPE, _ASSUMED_TYPE)):
        begin, end = spans[DATA]
        return {CONTENT_TYPE: _ASSUMED_TYPE, **attributes}, text[begin:end].encode()
    value = members[DATA]
    if type(value) is not str:
        raise Malformed(place=DATA, text="is no string, and datacontenttype is no kind of JSON")
    try:
        return attributes, value.encode()
    except UnicodeEncodeError:
        raise Malformed(place=DATA, text="holds half of a surrogate pair") from None


def _from_base64(encoded: Any) -> bytes:  # noqa: ANN401 - any JSON
    try:
        if type(encoded) is str:
            return b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise Malformed(place=DATA_BASE64, text="is no string in Base64")


def _is_json(content_type: str) -> bool:
    subtype = content_type.partition(";")[0].strip().lower().partition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def _attribute(name: str, value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return the canonical text of an attribute's value."""
    match value:
        case bool():
            return "true" if value else "false"
        case _Fraction():
            raise Malformed(
                place=name[:80], text="is a number with a fraction or exponent: attributes are text, whole or boolean"
            )
        case str():
            return str(value)
    raise Malformed(place=name[:80], text="is an array or object: attributes are text, whole numbers or booleans")


def _space(text: str, place: int) -> int:
    if text[place : place + 1] > " ":
        return place
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _expect(text: str, place: int, sign: str) -> int:
    if text[place : place + 1] != sign:
        raise _not_json(place)
    return place + 1


def _value(text: str, place: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, place)
    except RecursionError:
        raise Malformed(place="", text=f"objects and arrays are nested too deep after character {place}") from None
    except (ValueError, _Broken):
        raise _not_json(place) from None


def _not_json(place: int) -> Malformed:
    return Malformed(place="", text=f"not JSON at or after character {place}")
