"""Binary content mode: attributes are HTTP headers, the body is the payload.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#31-binary-content-mode
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from keystone_platform.cloudevents.event import CONTENT_TYPE, CloudEvent, Malformed, event_of

PREFIX = "ce-"

_ESCAPED = re.compile(r"\\(.)")


def read_binary(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> CloudEvent:
    """Return the event of a request.

    Args:
        headers: names in lower case, as ASGI gives them.
        body: the whole of it.

    Raises:
        Malformed: see `event_of`; `place` is the header's name.
    """
    attributes: dict[str, str] = {}
    for raw_name, raw in headers:
        header = raw_name.decode("latin-1")
        if header == "content-type":
            name, value = CONTENT_TYPE, _text(header, raw)
        elif header.startswith(PREFIX):
            name, value = header.removeprefix(PREFIX), _decoded(header, raw)
            if name == CONTENT_TYPE:
                raise Malformed(place=header, text="stands in content-type in binary mode")
        else:
            continue
        if name in attributes:
            raise Malformed(place=header, text="occurs twice")
        attributes[name] = value
    if "specversion" not in attributes:
        text = "no ce-specversion: in binary mode ce-specversion, ce-id, ce-source and ce-type are required"
        raise Malformed(place="", text=f"{text}; else send content-type application/cloudevents+json")
    try:
        return event_of(attributes, body)
    except Malformed as error:
        place = "content-type" if error.place == CONTENT_TYPE else f"{PREFIX}{error.place}"
        raise Malformed(place=place, text=error.text) from None


def _text(header: str, raw: bytes) -> str:
    try:
        return raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise Malformed(place=header, text="is not UTF-8") from None


def _decoded(header: str, raw: bytes) -> str:
    """Return a header's value: quotes taken off, then percent-decoded once."""
    text = _text(header, raw)
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = _ESCAPED.sub(r"\1", text[1:-1])
    if "%" not in text:
        return text
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed(place=header, text="is percent-encoded, but not as UTF-8") from None
