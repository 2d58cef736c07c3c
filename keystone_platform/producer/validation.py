"""Tells before an event is sent whether a router will be able to decode it.

Needs the exported document of the stream (`keystone schema show STREAM`) and nothing but the standard library: the
rules of docs/event-format.md, once more; test_producer_validation.py holds them to the platform's own decoder.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal, NoReturn

from keystone_platform.producer.typed_values import SCALARS, Code, Dead, Huge, Misfit, Typed, misfit

Validate = Callable[[bytes], str | None]
"""Takes a payload; returns None, or why it would be a dead letter: `code: text` that holds nothing of the payload."""

Check = Literal["off", "sample", "all"]

MAX_DEPTH = 64
"""Objects and arrays within each other, the event itself included."""

_TYPE = "x-keystone-type"
_ON_TYPE_ERROR = "x-keystone-on-type-error"
_FORMAT = "x-keystone-format"

_FRAME_BYTES = {"avro": 5, "protobuf": 6}
"""Magic byte and schema id; of Protobuf at least one byte of the message's index as well."""


def validator(
    document: Mapping[str, Any] | str | bytes,
    check: Check = "all",
    share: float = 0.01,
    draw: Callable[[], float] = random.random,
) -> Validate:
    """Return the check of a stream's payloads.

    All declared fields are checked; a route that reads fewer takes more. Where a stream says `on_type_error: null` a
    value that does not fit is no reason. The size is not looked at: what is too large depends on the key too. Payloads
    in Avro or Protobuf are checked for their frame only, since what is in them takes their writer's schema.

    Args:
        document: the exported schema, parsed or as text.
        check: `off` looks at nothing, `sample` at a `share` of the events, by chance, `all` at each.
        share: from 0 to 1.
        draw: gives numbers from 0 to below 1.

    Raises:
        ValueError: the document is not one that Keystone exports, or an argument is of another kind.
    """
    if check not in ("off", "sample", "all") or not 0 <= share <= 1:
        message = f"check is off, sample or all and share from 0 to 1, not {check!r} and {share!r}"
        raise ValueError(message)
    schema = json.loads(document) if isinstance(document, str | bytes) else document
    whole = _compiled(schema)
    if check == "off":
        return lambda _payload: None
    if check == "all":
        return whole
    return lambda payload: whole(payload) if draw() < share else None


def _compiled(schema: Any) -> Validate:  # noqa: ANN401 - any JSON
    try:
        encoding, is_object = schema[_FORMAT], schema["type"] == "object"
        if encoding in _FRAME_BYTES:
            return _framed(_FRAME_BYTES[encoding])
        properties, nulls = schema.get("properties"), schema.get(_ON_TYPE_ERROR) == "null"
        fields = None if properties is None else _fields(properties, "", nulls)[0]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(_FOREIGN) from error
    if encoding != "json" or not is_object:
        raise ValueError(_FOREIGN)
    return _decoding(fields, tuple(_names(properties))) if fields else lambda _payload: None


_FOREIGN = "no document of a stream's schema as `keystone schema show` prints it"


def _names(properties: Mapping[str, Any]) -> set[str]:
    """Return every declared name, on whatever level, as it stands in JSON."""
    inner = (_names(each["properties"]) for each in properties.values() if "properties" in each)
    return {f'"{name}"' for name in properties}.union(*inner)


def _decoding(fields: Typed, names: tuple[str, ...]) -> Validate:
    def validate(payload: bytes) -> str | None:
        try:
            fields(_parsed(payload, names))
        except Dead as dead:
            return str(dead)
        return None

    return validate


def _framed(least: int) -> Validate:
    def validate(payload: bytes) -> str | None:
        if not payload:
            return "empty"
        if len(payload) < least or payload[0] != 0:
            return "not_framed: a zero byte and a schema id are expected before the data"
        return None

    return validate


class _Repeated(dict[str, Any]):
    """An object in which some name occurs twice."""

    repeated: frozenset[str]


def _parsed(payload: bytes, names: tuple[str, ...]) -> dict[str, Any]:
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Dead(Code.NOT_UTF8, text=f"at byte {error.start}") from None
    if not text.strip(" \t\n\r"):
        raise Dead(Code.EMPTY)
    try:
        try:
            event = (_EXACT if _may_repeat(text, names) else _FAST).decode(text)
        except json.JSONDecodeError:
            raise
        except ValueError:  # an integer beyond Python's limit of digits
            event = _SLOW.decode(text)
    except ValueError:
        raise Dead(Code.NOT_JSON) from None
    except RecursionError:
        raise Dead(Code.TOO_DEEP) from None
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_too_deep(event):
        raise Dead(Code.TOO_DEEP, text=f"more than {MAX_DEPTH} objects and arrays within each other")
    if not isinstance(event, dict):
        raise Dead(Code.NOT_OBJECT)
    return event


def _may_repeat(text: str, names: tuple[str, ...]) -> bool:
    """Whether a declared name may occur twice in one object: looking for it costs a third of the time."""
    return "\\" in text or any(text.count(name) > 1 for name in names)


def _is_too_deep(event: Any) -> bool:  # noqa: ANN401 - any JSON
    level = [event]
    for _ in range(MAX_DEPTH):
        level = [inner for each in level if isinstance(each, dict | list) for inner in _within(each)]
    return any(isinstance(each, dict | list) for each in level)


def _within(value: Any) -> Any:  # noqa: ANN401 - any JSON
    return value.values() if isinstance(value, dict) else value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) == len(pairs):
        return built
    marked = _Repeated(built)
    marked.repeated = frozenset(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return marked


def _refuse(constant: str) -> NoReturn:
    raise json.JSONDecodeError(constant, constant, 0)


def _huge(_digits: str) -> Huge:
    return Huge()


_FAST = json.JSONDecoder(parse_constant=_refuse)
_EXACT = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse)
_SLOW = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse, parse_int=_huge)


def _fields(properties: Mapping[str, Any], prefix: str, nulls: bool) -> tuple[Typed, bool]:
    """Return the check of an object, and whether all that is in it becomes null where it does not fit."""
    compiled = [(name, *_field(each, f"{prefix}{name}", nulls)) for name, each in properties.items()]
    checks = [(name, _or_null(typed) if takes_null else typed) for name, typed, takes_null in compiled]
    known = frozenset(properties)

    def check(event: dict[str, Any]) -> None:
        if type(event) is _Repeated and (twice := event.repeated & known):
            raise Dead(Code.DUPLICATE_FIELD, f"{prefix}{min(twice)}")
        get = event.get
        for name, typed in checks:
            value = get(name)
            if value is not None:
                typed(value)

    return check, all(takes_null for _, _, takes_null in compiled)


def _or_null(typed: Typed) -> Typed:
    def check(value: Any) -> None:  # noqa: ANN401 - any JSON
        try:
            typed(value)
        except Misfit:
            return

    return check


def _field(schema: Mapping[str, Any], path: str, nulls: bool) -> tuple[Typed, bool]:
    """Return the check of a field, and whether it becomes null where it does not fit; an object only as a whole."""
    nulls = schema[_ON_TYPE_ERROR] == "null" if _ON_TYPE_ERROR in schema else nulls
    kind = schema[_TYPE]
    if kind == "object":
        inside, all_null = _fields(schema["properties"], f"{path}.", nulls)
        return _nested(inside, path), nulls and all_null
    if kind.startswith("array<"):
        return _array(kind.removeprefix("array<").removesuffix(">"), path), nulls
    return SCALARS[kind](kind, path), nulls


def _nested(inside: Typed, path: str) -> Typed:
    def check(value: Any) -> None:  # noqa: ANN401 - any JSON
        if not isinstance(value, dict):
            raise misfit(path, "object", value)
        inside(value)

    return check


def _array(element: str, path: str) -> Typed:
    typed = SCALARS[element](element, f"{path}[]")

    def check(value: Any) -> None:  # noqa: ANN401 - any JSON
        if type(value) is not list:
            raise misfit(path, "array", value)
        for each in value:
            if each is not None:
                typed(each)

    return check
