"""`warehouse.duckdb`: a database file whose views are the tables as of one moment, for any DuckDB.

A view has to name a metadata file, and a table's own are deleted after some 50 commits: minutes, where a router
commits every ten seconds. So each view reads a small copy (a pin) of the metadata as it was, with no snapshot but those
that the views show. What a pin refers to lives as long as the snapshot: six hours, or as long as a ref names it.
No secret is in the file or in a pin: whoever attaches the file brings the keys.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import duckdb
from pyiceberg.io import FileIO
from pyiceberg.table import Table

from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.clock import Clock
from keystone_platform.gateways.iceberg_snapshots import proven
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.objects import ObjectStore
from keystone_platform.query.moment import NEWEST
from keystone_platform.query.session import bare_session, translated
from keystone_platform.query.views import View, identifier, literal, proven_view, view_of
from keystone_platform.settings import Settings

FILE = "warehouse.duckdb"
"""Its name, below the home folder and below `published_place`."""

PINS = "pins"
"""Folder of the copies of metadata, beside the published file."""

PIN_AGE = timedelta(hours=48)
"""A pin that no view names any more is deleted after that; the snapshots of most expire after six hours."""

ABOUT = "keystone_views"
"""Table in the file that tells of each view which metadata it shows, and when it was made."""


@dataclass(frozen=True)
class Refreshed:
    """What a refresh came to.

    Attributes:
        views: how many the file has.
        written: False when every table is as the file has it already.
        published: URI of the copy in the object store; empty where it was not asked for.
        pins_removed: copies of metadata that nobody needs any more.
        state: tells two states of the tables apart, see `state_of`.
    """

    views: int
    written: bool
    published: str = ""
    pins_removed: int = 0
    state: str = ""


def published_place(settings: Settings) -> str:
    """Return the URI of the folder in which the file is published: beside the warehouse, where its readers may read."""
    warehouse = settings.catalog.get("warehouse", "").rstrip("/")
    if "://" in warehouse and warehouse.rpartition("/")[0].count("/") >= 2:
        return warehouse.rpartition("/")[0].rstrip("/") + "/analysts"
    return f"s3://{settings.s3.bucket}/analysts"


def state_of(sources: Mapping[str, str]) -> str:
    """Return a short text that differs when any table's metadata location does."""
    return hashlib.sha256(json.dumps(dict(sources), sort_keys=True).encode()).hexdigest()[:16]


def refresh(
    settings: Settings, file: Path, clock: Clock, objects: ObjectStore | None = None, *, publish: bool = True
) -> Refreshed:
    """Write the file anew if a table changed since, and publish it; readers of the old one are not disturbed.

    Blocks for some requests a table. Two at once are harmless: the file is of one of them.

    Args:
        settings: where catalog and object store are.
        file: where to write it.
        clock: what says how old a pin is.
        objects: where pins that nobody needs any more are deleted; None leaves them.
        publish: put a copy at `published_place` as well.

    Raises:
        InvalidSpec: there is no table yet.
        Transient, Terminal: catalog or object store do not answer, or refuse; then the old file stays.
    """
    lake = IcebergLake(settings)
    place = published_place(settings)
    tables = _loaded(lake)
    if not tables:
        message = "there is no table yet"
        raise InvalidSpec(message, mend="`keystone apply` makes the declared ones.")
    io, target = tables[0].io, f"{place}/{FILE}" if publish else ""
    sources = {".".join(table.name()): table.metadata_location for table in tables}
    views = _views(tables, place)
    with lake.translated():
        is_current = file.is_file() and sources == _sources(file) and not (publish and _missing(io, target))
        if is_current:
            return Refreshed(len(views), written=False, published=target, state=state_of(sources))
        for table in tables:
            _pin(table, _pin_place(place, table))
        _write(settings, file, views, sources, clock)
        if publish:
            _put(io, target, file.read_bytes())
    removed = _forget(objects, place, views, clock) if objects and place.startswith("s3") else 0
    return Refreshed(len(views), True, target, removed, state_of(sources))


def pinned_metadata(text: str, snapshots: Iterable[int]) -> str:
    """Return a table's metadata with those snapshots alone: what any of them refers to, and nothing of its history."""
    kept = set(snapshots)
    document = json.loads(text)
    document["snapshots"] = [each for each in document.get("snapshots", []) if each["snapshot-id"] in kept]
    document["refs"] = {name: ref for name, ref in document.get("refs", {}).items() if ref["snapshot-id"] in kept}
    for history in ("snapshot-log", "metadata-log", "statistics", "partition-statistics"):
        document[history] = []
    return json.dumps(document)


def _loaded(lake: IcebergLake) -> list[Table]:
    tables = []
    for name in lake.tables():
        try:
            tables.append(lake.load(name))
        except InvalidSpec:
            continue  # dropped since it was listed
    return tables


def _views(tables: Iterable[Table], place: str) -> list[View]:
    tables = list(tables)
    names = {".".join(table.name()) for table in tables}
    found = [view for table in tables for view in (view_of(table, NEWEST), proven_view(table, names)) if view]
    pins = {table.metadata_location: _pin_place(place, table) for table in tables}
    return [replace(view, location=pins[view.location]) for view in found]


def _pin_place(place: str, table: Table) -> str:
    return f"{place}/{PINS}/{'.'.join(table.name())}/{table.metadata_location.rpartition('/')[2]}"


def _pin(table: Table, target: str) -> None:
    if not _missing(table.io, target):
        return
    current, mark = table.current_snapshot(), proven(table)
    kept = [current.snapshot_id] if current else []
    kept += [mark.snapshot_id] if mark else []
    with table.io.new_input(table.metadata_location).open() as source:
        text = source.read().decode()
    _put(table.io, target, pinned_metadata(text, kept).encode())


def _write(settings: Settings, file: Path, views: list[View], sources: Mapping[str, str], clock: Clock) -> None:
    """Write a new file and put it in the old one's place: a reader has the old one open, and locked."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    session = bare_session(settings.s3)
    try:
        with translated(settings.s3):
            session.execute(f"ATTACH {literal(str(fresh))} AS warehouse")
            session.execute("USE warehouse")
            for view in views:
                session.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(view.schema)}")
                session.execute(view.statement)
            session.execute(
                f"CREATE TABLE {ABOUT} (table_name VARCHAR, metadata_location VARCHAR, made_at TIMESTAMPTZ)"
            )
            rows = [(table, location, clock.now()) for table, location in sources.items()]
            session.executemany(f"INSERT INTO {ABOUT} VALUES (?, ?, ?)", rows)
            session.execute("USE memory")
            session.execute("DETACH warehouse")  # writes all of it into the one file
        fresh.replace(file)
    finally:
        session.close()
        fresh.unlink(missing_ok=True)


def _sources(file: Path) -> dict[str, str]:
    """Return which metadata each table had when the file was written; empty when it is none of ours."""
    try:
        with duckdb.connect(str(file), read_only=True) as session:
            return dict(session.execute(f"SELECT table_name, metadata_location FROM {ABOUT}").fetchall())
    except duckdb.Error:
        return {}


def _forget(objects: ObjectStore, place: str, views: Iterable[View], clock: Clock) -> int:
    """Delete the pins that no view of this file names and no older file can need any more."""
    named = {view.location for view in views}
    listed = objects.listed(f"{place}/{PINS}/")
    old = [each.uri for each in listed if each.uri not in named and clock.now() - each.modified > PIN_AGE]
    return objects.delete(old) if old else 0


def _missing(io: FileIO, uri: str) -> bool:
    return not io.new_input(uri).exists()


def _put(io: FileIO, uri: str, content: bytes) -> None:
    with io.new_output(uri).create(overwrite=True) as out:
        out.write(content)
