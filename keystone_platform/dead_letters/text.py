"""Letters for people and for programs: payloads are strangers' bytes, and a terminal obeys some of them."""

from __future__ import annotations

import base64
from typing import Any

from keystone_platform.dead_letters.letter import DeadLetter, Position

SHOWN_CHARACTERS = 200
"""Of a payload that is shown to people."""


def shown(payload: bytes | None, limit: int = SHOWN_CHARACTERS) -> str:
    """Return the bytes as text, else as hex, cut; what is not printable (escape codes, marks that turn text) is named.

    A cut text ends with how many bytes there are.
    """
    if payload is None:
        return "no value"
    head = payload[: 4 * limit]
    try:
        text = head.decode() if len(head) == len(payload) else head.decode("utf-8", "ignore")
        if not payload.isascii():
            payload.decode()
    except UnicodeDecodeError:
        text = f"0x{head[: limit // 2].hex()}"
        return text if 2 * len(payload) <= limit else f"{text}… ({len(payload):,} bytes)"
    text = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return text if len(text) <= limit and len(head) == len(payload) else f"{text[:limit]}… ({len(payload):,} bytes)"


def as_json(letter: DeadLetter) -> dict[str, Any]:
    """Return the whole letter as JSON values; bytes are text, or `{"base64": …}` where they are not UTF-8."""
    return {
        "letter": _place(letter.at),
        "source": _place(letter.source),
        "route": letter.route,
        "code": letter.code,
        "text": letter.text,
        "plan_digest": letter.digest,
        "died_at": letter.died_at.isoformat() if letter.died_at else None,
        "event_time": letter.event_time.isoformat() if letter.event_time else None,
        "guid": letter.guid,
        "key": _bytes(letter.key),
        "payload": _bytes(letter.payload),
        "headers": {name: _bytes(value) for name, value in letter.headers.items()},
    }


def _place(position: Position) -> dict[str, str | int]:
    return {"topic": position.topic, "partition": position.partition, "offset": position.offset}


def _bytes(value: bytes | None) -> str | dict[str, str] | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
