"""Which moment of the tables a query sees."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from keystone_platform.errors import InvalidSpec


@dataclass(frozen=True)
class Newest:
    """The tables as they are now."""

    def __str__(self) -> str:
        return "now"


@dataclass(frozen=True)
class AsOf:
    """The tables as their readers saw them at that time."""

    time: datetime

    def __str__(self) -> str:
        return f"{self.time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True)
class OfSnapshot:
    """One table, in that snapshot."""

    snapshot_id: int

    def __str__(self) -> str:
        return f"snapshot {self.snapshot_id}"


@dataclass(frozen=True)
class LastProven:
    """The hours of each table that are proven, in the snapshot that the proof is about."""

    def __str__(self) -> str:
        return "the last proven hour"


Moment = Newest | AsOf | OfSnapshot | LastProven

NEWEST = Newest()


def parse_time(text: str, now: datetime) -> datetime:
    """Read a time, UTC unless it names another zone: `2026-11-01T10:00`, `2026-11-01 10`, `2026-11-01`, `now`.

    Raises:
        InvalidSpec: it is none, or it is in the future.
    """
    if text.strip().lower() == "now":
        return now
    time = _time(text.strip())
    if time > now:
        message = f"{text} is in the future (it is {now:%Y-%m-%dT%H:%M:%SZ})"
        raise InvalidSpec(message, mend="Name a time that is over, in UTC.")
    return time


def chosen_moment(as_of: str | None, snapshot: int | None, *, proven: bool, now: datetime) -> Moment:
    """Return the moment that options name; InvalidSpec when they name two."""
    named = [
        moment
        for moment in (
            AsOf(parse_time(as_of, now)) if as_of is not None else None,
            OfSnapshot(snapshot) if snapshot is not None else None,
            LastProven() if proven else None,
        )
        if moment is not None
    ]
    if len(named) > 1:
        message = "--as-of, --snapshot and --proven exclude each other"
        raise InvalidSpec(message, mend="Choose one.")
    return named[0] if named else NEWEST


def _time(text: str) -> datetime:
    for form in ("%Y-%m-%dT%H", "%Y-%m-%d %H"):  # which fromisoformat does not take everywhere
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no time"
        raise InvalidSpec(message, mend="Write it as 2026-11-01T10:00, in UTC.") from error
    return time.replace(tzinfo=time.tzinfo or UTC)
