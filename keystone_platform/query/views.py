"""The views of a session: which snapshot of which table each shows."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from pyiceberg.table import Table

from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.iceberg_schema import TIME_COLUMN
from keystone_platform.gateways.iceberg_snapshots import Proven, proven, snapshot_at, snapshot_of
from keystone_platform.query.moment import AsOf, LastProven, Moment, Newest, OfSnapshot

PROVEN_SUFFIX = "_proven"
"""`events.playback` as of the last proven hour is the view `events_proven.playback`."""

_PATHS = ("write.data.path", "write.metadata.path", "write.object-storage.path", "write.folder-storage.path")
"""Properties that put a table's files elsewhere than below its location."""


@dataclass(frozen=True)
class View:
    """One view.

    Attributes:
        location: URI of the metadata file that it reads.
        snapshot_id: None for the newest of that file.
        proven: the rows before its `until` only.
        folders: URIs below which all files of the table are.
    """

    schema: str
    name: str
    location: str
    snapshot_id: int | None = None
    proven: Proven | None = None
    folders: tuple[str, ...] = ()

    @property
    def statement(self) -> str:
        """What makes the view, or makes it anew."""
        snapshot = "" if self.snapshot_id is None else f", snapshot_from_id = {self.snapshot_id}"
        rows = "" if self.proven is None else f" WHERE {TIME_COLUMN} < TIMESTAMPTZ {literal(str(self.proven.until))}"
        source = f"iceberg_scan({literal(self.location)}{snapshot})"
        return f"CREATE OR REPLACE VIEW {identifier(self.schema)}.{identifier(self.name)} AS FROM {source}{rows}"


def view_of(table: Table, moment: Moment) -> View:
    """Return the table's view `namespace.table` that shows that moment.

    Raises:
        InvalidSpec: there is no such moment of the table (any more); says which there is.
    """
    match moment:
        case Newest():
            return _view(table, None)
        case AsOf(time):
            return _view(table, snapshot_at(table, time).snapshot_id)
        case OfSnapshot(snapshot_id):
            return _view(table, snapshot_of(table, snapshot_id).snapshot_id)
        case LastProven():
            mark = proven(table)
            if mark is None:
                message = f"nothing of {'.'.join(table.name())} is proven yet"
                raise InvalidSpec(message, mend="`keystone tables` shows how far each table is proven.")
            return _view(table, mark.snapshot_id, mark)


def proven_view(table: Table, tables: Collection[str] = ()) -> View | None:
    """Return the view `namespace_proven.table`; None when nothing is proven, or a table of `tables` has that name."""
    mark = proven(table)
    if mark is None:
        return None
    shown = _view(table, mark.snapshot_id, mark)
    named = replace(shown, schema=shown.schema + PROVEN_SUFFIX)
    return None if f"{named.schema}.{named.name}" in tables else named


def named_tables(sql: str, tables: Iterable[str]) -> tuple[str, ...]:
    """Return the tables whose names occur in the text as words; a query reads no other."""
    words = set(re.findall(r"\w+", sql.lower()))
    return tuple(table for table in tables if table.split(".", 1)[1] in words)


def names_proven(sql: str, table: str) -> bool:
    """Whether the table's proven view may be asked for."""
    return table.split(".", 1)[0] + PROVEN_SUFFIX in sql.lower()


def _view(table: Table, snapshot_id: int | None, mark: Proven | None = None) -> View:
    schema, name = table.name()
    elsewhere = (table.properties[key] for key in _PATHS if table.properties.get(key))
    return View(schema, name, table.metadata_location, snapshot_id, mark, (table.location(), *elsewhere))


def identifier(name: str) -> str:
    """Quote a name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote text for a statement that takes no parameters."""
    return "'" + text.replace("'", "''") + "'"
