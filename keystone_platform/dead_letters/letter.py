"""A dead letter as a value, read off a record of a `<topic>.dlq`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from keystone_platform import envelope
from keystone_platform.audit.records import Record

UNKNOWN = "unknown"
"""Code of a letter that names none."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a record is."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Return the position that `str` wrote; ValueError when it is none."""
        topic, partition, offset = text.rsplit(":", 2)
        return cls(topic, int(partition), int(offset))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a route could not take.

    Attributes:
        at: its own place.
        source: where the route read the event; the same event may have several letters, since they are written at
            least once.
        died_at: None when the letter does not say.
        event_ms: the event's time in milliseconds since 1970.
        headers: the event's own, without those that the router added.
    """

    at: Position
    source: Position
    route: str
    code: str
    text: str
    digest: str
    died_at: datetime | None
    event_ms: int | None
    key: bytes | None
    payload: bytes | None
    headers: Mapping[str, bytes | None]

    @property
    def event_time(self) -> datetime | None:
        """The event's time; None where it has none, or one beyond the years 1 to 9999."""
        try:
            return None if self.event_ms is None else datetime.fromtimestamp(self.event_ms / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            return None

    @property
    def guid(self) -> str | None:
        """The event's guid; None when its producer gave it none."""
        value = self.headers.get(envelope.CE_ID)
        return None if value is None else value.decode("utf-8", "replace")


def read_letter(topic: str, record: Record) -> DeadLetter | None:
    """Return the letter that the record is; None when no router wrote it."""
    told = {
        name: value.decode("utf-8", "replace")
        for name, value in record.headers.items()
        if name.startswith(envelope.DLQ_PREFIX) and value is not None
    }
    try:
        source = Position(told[envelope.DLQ_TOPIC], int(told[envelope.DLQ_PARTITION]), int(told[envelope.DLQ_OFFSET]))
        route = told[envelope.DLQ_ROUTE]
    except (KeyError, ValueError):
        return None
    return DeadLetter(
        at=Position(topic, record.partition, record.offset),
        source=source,
        route=route,
        code=told.get(envelope.DLQ_CODE, UNKNOWN),
        text=told.get(envelope.DLQ_TEXT, ""),
        digest=told.get(envelope.DLQ_DIGEST, ""),
        died_at=_time(told.get(envelope.DLQ_TIME)),
        event_ms=record.timestamp_ms,
        key=record.key,
        payload=record.value,
        headers={name: value for name, value in record.headers.items() if not name.startswith(envelope.DLQ_PREFIX)},
    )


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
