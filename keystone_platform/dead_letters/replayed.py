"""Which events were given to their route again already: read from the replay topics, which alone know."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress

from keystone_platform import envelope
from keystone_platform.audit.records import read_records
from keystone_platform.dead_letters.letter import Position
from keystone_platform.gateways.kafka import Offsets


class Positions:
    """A set of (route, position) of any size: in a temporary file of SQLite's own, gone with this object."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("")
        self._file.execute(
            "CREATE TABLE seen (route, topic, part, place, PRIMARY KEY (route, topic, part, place)) WITHOUT ROWID"
        )

    def add(self, route: str, position: Position) -> bool:
        """Add it and return whether it was new."""
        row = (route, position.topic, position.partition, position.offset)
        return self._file.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)", row).rowcount == 1

    def has(self, route: str, position: Position) -> bool:
        """Whether it was added."""
        row = (route, position.topic, position.partition, position.offset)
        query = "SELECT 1 FROM seen WHERE (route, topic, part, place) = (?, ?, ?, ?)"
        return self._file.execute(query, row).fetchone() is not None

    def update(self, route: str, positions: Iterable[Position]) -> None:
        """Add them all."""
        for position in positions:
            self.add(route, position)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


def read_replayed(kafka: Mapping[str, str], route: str, topic: str, span: Offsets, into: Positions) -> None:
    """Add what the route's replay topic holds; a record that is no replay is passed over.

    Raises:
        Transient, Terminal: see read_records.
    """
    for records in read_records(kafka, topic, span):
        for record in records:
            source = record.headers.get(envelope.REPLAY_SOURCE)
            with suppress(ValueError):
                into.add(route, Position.parse((source or b"").decode("utf-8", "replace")))
