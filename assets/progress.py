"""How far a sensor has read each table, and one tick of reading on. Knows nothing of Dagster.

A tick ends after a number of hours or at a deadline and goes on from there at the next one: a table with years of
hours, a lost cursor or an expired snapshot make more ticks, never a tick that can't end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.iceberg_files import HourChange, HourTotals
from keystone_platform.gateways.lake import Lake

HOURS_PER_TICK = 200


@dataclass(frozen=True)
class Position:
    """How far a table was read.

    Attributes:
        snapshot: the newest snapshot whose hours are known; None before the first.
        waiting: hours that changed and are still to be looked at; None stands for rows without a time.
    """

    snapshot: int | None = None
    waiting: tuple[datetime | None, ...] = ()


@dataclass(frozen=True)
class Cursor:
    """How far every table was read; `next` is the table that the next tick begins with."""

    tables: Mapping[str, Position] = field(default_factory=dict)
    next: str | None = None


@dataclass(frozen=True)
class HourNews:
    """An hour that changed, as it is now.

    Attributes:
        new_data: False when nothing but compaction touched it.
        snapshot: the table's newest snapshot when it was looked at.
        late_rows: see HourChange; None when not known.
        table_rows: rows of the whole table then.
    """

    table: str
    totals: HourTotals
    rows_added: int
    new_data: bool
    snapshot: int | None
    late_rows: int | None = 0
    table_rows: int = 0


_CURSOR = TypeAdapter(Cursor)


def read_cursor(text: str | None) -> Cursor:
    """Return the cursor that was written; an empty or unreadable one means from the beginning."""
    try:
        return _CURSOR.validate_json(text) if text else Cursor()
    except ValidationError:
        return Cursor()


def write_cursor(cursor: Cursor) -> str:
    """Return the cursor as JSON."""
    return _CURSOR.dump_json(cursor).decode()


def in_turn(tables: Sequence[str], first: str | None) -> list[str]:
    """Return the tables beginning with `first`, so that a tick which ends early leaves no table out for ever."""
    start = tables.index(first) if first in tables else 0
    return [*tables[start:], *tables[:start]]


@dataclass(frozen=True)
class TableNews:
    """What one look at a table found, and where the next one begins."""

    table: str
    hours: tuple[HourNews, ...]
    position: Position


def look(lake: Lake, table: str, position: Position, limit: int = HOURS_PER_TICK) -> TableNews | None:
    """Return the news of at most `limit` hours of a table since `position`; None when there is no such table."""
    try:
        changes = lake.changes_since(table, position.snapshot)
    except InvalidSpec:
        return None
    changed = {change.hour: change for change in changes.hours}
    order = [*position.waiting, *(hour for hour in changed if hour not in set(position.waiting))]
    now, later = order[:limit], order[limit:]
    totals = {total.hour: total for total in lake.hours(table, now)} if now else {}
    news = []
    for hour in now:
        change = changed.get(hour, HourChange(hour, rows_added=0, new_data=False))
        new_data = change.new_data or hour in position.waiting
        total = totals.get(hour, HourTotals(hour))
        news.append(
            HourNews(table, total, change.rows_added, new_data, changes.snapshot_id, change.late_rows, changes.rows)
        )
    return TableNews(table, tuple(news), Position(changes.snapshot_id, tuple(later)))


def tick(
    lake: Lake,
    tables: Sequence[str],
    cursor: Cursor,
    is_over: Callable[[], bool],
    keep: Callable[[TableNews], Sequence[datetime | None]] = lambda _: (),
    limit: int = HOURS_PER_TICK,
) -> Iterator[tuple[TableNews, Cursor]]:
    """Look at the tables in turn; yield each one's news with the cursor that holds once they are dealt with.

    Ends when all were looked at, when `is_over` says so, or after `limit` hours. The hours that `keep` returns are
    looked at again at the next tick, changed or not.
    """
    order = in_turn(tables, cursor.next)
    positions = {table: position for table, position in cursor.tables.items() if table in order}
    for number, table in enumerate(order):
        if limit <= 0 or (number and is_over()):
            return
        found = look(lake, table, positions.get(table, Position()), limit)
        if found is None:
            continue
        waiting = (*found.position.waiting, *keep(found))
        positions[table] = Position(found.position.snapshot, waiting)
        limit -= len(found.hours)
        yield found, Cursor(dict(positions), order[(number + 1) % len(order)])
