"""A CloudEvent and its attributes, checked; whoever reads one from the wire ends here.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from keystone_platform.envelope import SPECVERSION

MAX_ATTRIBUTE_CHARS = 2_048
"""Of id, source and type each; what all others take together is bounded by the producer."""

CONTENT_TYPE = "datacontenttype"
PARTITION_KEY = "partitionkey"
"""The extension that the Kafka protocol binding (3.1) makes the record's key of."""

REQUIRED = ("id", "source", "type")

_NAME = re.compile(r"[a-z0-9]{1,20}")
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""Characters that no attribute may hold (spec 1.0.2, "Type System", String)."""

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)
_LEAP = "60"


class Malformed(Exception):
    """It is no CloudEvent.

    Attributes:
        place: where, as the sender wrote it: an attribute, a header, a member; empty for the whole.
        text: what is wrong; it holds nothing of the payload.
    """

    def __init__(self, *, place: str, text: str) -> None:
        super().__init__(f"{place}: {text}" if place else text)
        self.place = place
        self.text = text


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """An event as its sender described it.

    Attributes:
        time: when it happened, to the microsecond; None: the sender did not say.
        payload: its data's bytes; none where it has no data.
        key: the partition key as UTF-8.
        extensions: every other attribute by name, `datacontenttype`, `dataschema`, `subject` and the key included.
    """

    id: str
    source: str
    type: str
    payload: bytes
    time: datetime | None
    key: bytes | None
    extensions: Mapping[str, str]


def event_of(attributes: Mapping[str, str], payload: bytes) -> CloudEvent:
    """Return the event of these attributes in their canonical text.

    Raises:
        Malformed: one is missing, is not of its form, or the specversion is not 1.0. `place` is the attribute's name.
    """
    version = attributes.get("specversion")
    if version != SPECVERSION:
        what = "is missing" if version is None else f"{version[:20]!r} is not spoken here"
        raise Malformed(place="specversion", text=f"{what}: expected {SPECVERSION!r}")
    for name in REQUIRED:
        value = attributes.get(name)
        if not value:
            raise Malformed(place=name, text="is missing" if value is None else "is empty")
        if len(value) > MAX_ATTRIBUTE_CHARS:
            raise Malformed(place=name, text=f"has {len(value)} characters, {MAX_ATTRIBUTE_CHARS} at most")
    for name, value in attributes.items():
        if name not in _CORE and not _NAME.fullmatch(name):
            raise Malformed(place=name[:80], text="is no name of an attribute: 1 to 20 of a-z and 0-9")
        if not value.isprintable() and _FORBIDDEN.search(value):
            raise Malformed(place=name, text="holds a control character or half of a surrogate pair")
    extensions = {name: value for name, value in attributes.items() if name not in _CORE}
    time, key = attributes.get("time"), attributes.get(PARTITION_KEY)
    return CloudEvent(
        attributes["id"],
        attributes["source"],
        attributes["type"],
        payload,
        None if time is None else point_in_time(time),
        None if key is None else key.encode(),
        extensions,
    )


_CORE = frozenset({"specversion", "time", *REQUIRED})


def point_in_time(text: str) -> datetime:
    """Return the point in time that an RFC 3339 text says; digits below a microsecond are cut off.

    A leap second is the second after it.

    Raises:
        Malformed: it is of another form, or there is no such moment between the years 1 and 9999 in UTC.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise Malformed(place="time", text="is not of RFC 3339: expected a form like 2026-03-01T12:00:00.123Z")
    day, minute, second, fraction, zone = match.groups()
    is_leap = second == _LEAP
    try:
        zone = "+00:00" if zone in "Zz" else zone
        found = datetime.fromisoformat(f"{day}T{minute}:{'59' if is_leap else second}{zone}")
        moment = found.astimezone(UTC) + timedelta(seconds=1 if is_leap else 0)
    except (OverflowError, ValueError):
        raise Malformed(place="time", text="is no moment between the years 1 and 9999") from None
    return moment if is_leap else moment.replace(microsecond=int(f"{fraction or '':0<6}"[:6]))
