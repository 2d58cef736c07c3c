"""Readers who poll while everything happens to a table at once: each row exactly once, at every moment."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.table import Table

from assets.compaction.compact import compact_hour
from keystone_platform.errors import Conflict, Transient
from keystone_platform.gateways.iceberg_files import live_entries
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.session import open_session
from keystone_platform.settings import Settings
from keystone_platform.spec.types import Scalar
from tests.contract.lake_tables import TABLE, TEN, land, local_settings, warehouse_plan

NINE = TEN - timedelta(hours=1)
OLD = 200
"""Rows of the hour that is past its age; in a Kafka partition of their own."""

FIRST = 500
ROUNDS = 2

READERS = ("pyiceberg", "duckdb")

BETWEEN_LOOKS_S = 0.1

Seen = Sequence[tuple[int, int]]
"""What a reader saw: partition and offset of each row."""


@dataclass
class World:
    """One table, who works on it and who looks at it."""

    settings: Settings
    landed: int = FIRST
    looks: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    retired: set[str] = field(default_factory=set)
    done: threading.Event = field(default_factory=threading.Event)
    in_a_row: int = 0

    def table(self) -> Table:
        return IcebergLake(self.settings).load(TABLE)

    def append(self) -> None:
        while not self.done.wait(0.3):  # a router commits once a second at most
            if self.in_a_row < 5:  # on a slow machine it would win every race for ever
                with suppress(ValidationException):  # its base was expired before its retry: nothing was committed
                    land(self.table(), range(self.landed, self.landed + 50), files=2)
                    self.landed, self.in_a_row = self.landed + 50, self.in_a_row + 1

    def look(self, reader: str, read: Callable[[], Seen]) -> None:
        while not self.done.wait(BETWEEN_LOOKS_S):
            least, gone = self.landed, reader in self.retired
            seen = read()
            self.looks[reader] += 1
            offsets = sorted(offset for partition, offset in seen if partition == 0)
            old = sorted(offset for partition, offset in seen if partition == 1)
            if offsets != list(range(len(offsets))) or len(offsets) < least:
                self.problems.append(f"{reader}: {len(offsets)} rows, {len(set(offsets))} distinct, {least} expected")
            if old != list(range(OLD)) and old:
                self.problems.append(f"{reader}: {len(old)} rows of an hour that leaves as a whole")
            if gone and old:
                self.problems.append(f"{reader}: an hour that had left is back")
            if not old:
                self.retired.add(reader)

    def by_pyiceberg(self) -> Seen:
        rows = self.table().scan(selected_fields=("_partition", "_offset")).to_arrow()
        return list(zip(rows["_partition"].to_pylist(), rows["_offset"].to_pylist(), strict=True))

    def by_duckdb(self) -> Seen:
        with open_session(self.settings, [TABLE]) as session:
            return session.execute(f"SELECT _partition, _offset FROM {TABLE}").fetchall()

    def by_tag(self) -> Seen:
        """What the tag holds never changes, whatever is expired around it; so it never counts as retired."""
        table = self.table()
        tagged = table.snapshot_by_name("proven")
        assert tagged is not None
        rows = table.scan(snapshot_id=tagged.snapshot_id, selected_fields=("_partition", "_offset")).to_arrow()
        if rows.num_rows != FIRST + OLD:
            self.problems.append(f"the tag holds {rows.num_rows} rows instead of {FIRST + OLD}")
        self.looks["tag"] += 1
        return ()

    def maintain(self, turn: int) -> None:
        """Compact, evolve, retire and expire; what loses its race against the appender is done again."""
        for act in (lambda: self.compact(), lambda: self.evolve(turn), self.retire, self.expire):
            self.in_a_row = 0
            while not self.problems:
                with suppress(Transient, Conflict, CommitFailedException, ValidationException):
                    act()
                    break

    def compact(self) -> None:
        compact_hour(IcebergLake(self.settings), TABLE, TEN)

    def evolve(self, turn: int) -> None:
        IcebergLake(self.settings).ensure_table(
            warehouse_plan(
                ("user_id", Scalar.BIGINT), *((f"new_{number}", Scalar.DOUBLE) for number in range(turn + 1))
            )
        )

    def retire(self) -> None:
        """Let the old hour go in one commit, as retention does."""
        table = self.table()
        old = [entry.data_file for entry in live_entries(table, {NINE})]
        if old:
            with table.transaction() as transaction, transaction.update_snapshot().overwrite() as producer:
                for file in old:
                    producer.delete_data_file(file)

    def expire(self) -> None:
        """Forget what is older than a moment, but for the newest and what a ref holds."""
        before = (datetime.now(UTC) - timedelta(seconds=0.5)).replace(tzinfo=None)
        self.table().maintenance.expire_snapshots().older_than(before).commit()

    def guarded(self, work: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                self.problems.append(repr(error))

        return threading.Thread(target=run)


def test_readers_see_each_row_once_through_appends_compaction_evolution_retention_and_expiry(tmp_path: Path) -> None:
    world = World(local_settings(tmp_path))
    IcebergLake(world.settings).ensure_table(warehouse_plan())
    land(world.table(), range(FIRST), files=8)
    land(world.table(), range(OLD), hour=NINE, partition=1, files=4)
    table = world.table()
    table.manage_snapshots().create_tag(table.metadata.current_snapshot_id or 0, "proven").commit()

    def look_at_tag() -> None:
        while not world.done.wait(BETWEEN_LOOKS_S):
            world.by_tag()

    threads = [
        world.guarded(world.append),
        world.guarded(lambda: world.look("pyiceberg", world.by_pyiceberg)),
        world.guarded(lambda: world.look("duckdb", world.by_duckdb)),
        world.guarded(look_at_tag),
    ]
    for thread in threads:
        thread.start()
    try:
        for turn in range(ROUNDS):
            world.maintain(turn)
            looked = world.looks.copy()  # nobody misses a round
            while not world.problems and any(
                world.looks[reader] == looked[reader] for reader in ("pyiceberg", "duckdb")
            ):
                world.done.wait(0.05)
    finally:
        world.done.set()
        for thread in threads:
            thread.join()
    assert world.problems == []
    assert min(world.looks[reader] for reader in (*READERS, "tag")) >= ROUNDS
    assert world.retired == set(READERS)
    final = world.table()
    assert f"new_{ROUNDS - 1}" in final.schema().column_names
    assert len(final.metadata.snapshots) < ROUNDS * 20
    assert sorted(world.by_duckdb()) == [(0, offset) for offset in range(world.landed)]
