"""What a caller may say of an event beside stream and payload, checked: its time and its extensions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from keystone_platform import envelope
from keystone_platform.producer.accounting import DropReason
from keystone_platform.producer.lanes import Header

_EXTENSION = re.compile(r"[a-z0-9]{1,20}")
"""Names of extension attributes: CloudEvents 1.0.2, "Attribute naming convention"."""

_OWN = frozenset({"specversion", "id", "time", "source", "type"})
"""Attributes that the producer sets by itself."""

_CONTENT_TYPE = "datacontenttype"
"""The attribute whose header has no prefix (Kafka protocol binding, 3.2.1)."""

_HEADER_BYTES = 160
"""What a header takes in the buffer beside its name and value."""

OLDEST = timedelta(days=4)
NEWEST = timedelta(minutes=30)
"""How long ago and how far ahead an event's time may be to become its record's timestamp.

Kafka deletes by timestamp: a record that is older than the topic's retention (7 days unless set otherwise) is gone in
minutes, before a router has read it. One that is more than an hour ahead is refused, with its whole batch.
"""


class Refused(Exception):
    """The event can't be sent, for this reason."""

    def __init__(self, reason: DropReason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


def event_time(time: datetime, now_millis: int) -> tuple[int, Header]:
    """Return the record's timestamp and the header with the event's own time.

    Raises:
        Refused: it has no zone, or is no time.
    """
    if not isinstance(time, datetime):
        raise Refused(DropReason.BAD_TIME, f"time is of type {type(time).__name__}: pass an aware datetime")
    if time.tzinfo is None:
        raise Refused(DropReason.BAD_TIME, "time has no zone: pass datetime.now(UTC) or another aware value")
    try:
        happened = time.astimezone(UTC)
    except Exception as error:  # of whatever class the zone is
        raise Refused(DropReason.BAD_TIME, f"time can't be told in UTC: {error}") from error
    header = (envelope.CE_TIME, happened.isoformat()[:-6] + "Z")
    ago = now_millis - round(happened.timestamp() * 1000)
    is_near = -NEWEST <= timedelta(milliseconds=ago) <= OLDEST
    return now_millis - ago if is_near else now_millis, header


def extension_headers(extensions: Mapping[str, str]) -> tuple[list[Header], int]:
    """Return the headers of these attributes and what they take in the buffer.

    Raises:
        Refused: a name or a value is not what CloudEvents takes, or all of them are larger than routers write on.
    """
    headers: list[Header] = []
    size = 0
    for name, value in extensions.items():
        if not _EXTENSION.fullmatch(name) or name in _OWN:
            text = f"{name!r} is no name of a CloudEvents extension: 1 to 20 of a-z and 0-9, and none of its own names"
            raise Refused(DropReason.BAD_ATTRIBUTE, text)
        if not isinstance(value, str):
            raise Refused(DropReason.BAD_ATTRIBUTE, f"extension {name} is of type {type(value).__name__}, not text")
        header = "content-type" if name == _CONTENT_TYPE else envelope.CE_PREFIX + name
        headers.append((header, value))
        size += len(value) * (1 if value.isascii() else 4) + len(header) + _HEADER_BYTES
    if size > envelope.MAX_HEADERS_BYTES:
        raise Refused(DropReason.BAD_ATTRIBUTE, f"extensions take {size} bytes, {envelope.MAX_HEADERS_BYTES} at most")
    return headers, size


def check_bytes(payload: object, key: object) -> None:
    """Raise Refused unless both are what Kafka carries."""
    if not isinstance(payload, bytes):
        raise Refused(DropReason.NOT_BYTES, f"payload is of type {type(payload).__name__}, not bytes")
    if key is not None and not isinstance(key, bytes):
        raise Refused(DropReason.NOT_BYTES, f"key is of type {type(key).__name__}, not bytes")
