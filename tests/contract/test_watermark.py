"""The watermark of a real table: it says no more than the proofs do, whatever comes in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pyiceberg.table import Table

from assets.compaction.compact import compact_hour
from assets.proof.watermark import Watermark, advance, watermark_of
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.gateways.iceberg_files import totals_by_hour
from keystone_platform.gateways.proofs import SqlProofs
from keystone_platform.plan.hour_proof import Comparison, HourProof, Identities, Verdict
from tests.contract.lake_tables import ELEVEN, TABLE, TEN, lake_with_table, land

HOUR = timedelta(hours=1)
TWELVE = TEN + 2 * HOUR


class World:
    """A lake with one table, and proofs."""

    def __init__(self, folder: Path) -> None:
        self.lake, self.table = lake_with_table(folder)
        self.proofs = SqlProofs(f"sqlite:///{folder}/ledger.db")
        self._proven = 0

    def prove(self, *hours: datetime, table: Table | None = None, missing: int = 0) -> None:
        """Record proofs of the hours as the table is."""
        table = table or self.lake.load(TABLE)
        snapshot = table.current_snapshot()
        assert snapshot
        self._proven += 1
        rows = {total.hour: total.rows for total in totals_by_hour(table, set(hours))}
        for hour in hours:
            self.proofs.record(
                HourProof(
                    table=TABLE,
                    hour=hour,
                    made_at=TEN + timedelta(days=1, seconds=self._proven),
                    plan_digest="d",
                    snapshot_id=snapshot.snapshot_id,
                    sequence=snapshot.sequence_number or 0,
                    whole=True,
                    identities=Identities(rows=rows.get(hour, 0)),
                    compared=Comparison(missing=missing),
                )
            )

    def advance(self) -> Watermark:
        """Move the watermark; what the catalog says then is the same."""
        found = advance(self.lake, TABLE, self.proofs, SystemClock())
        kept = watermark_of(self.lake.load(TABLE))
        assert (kept.until, kept.snapshot_id) == (found.until, found.snapshot_id)
        return found

    def head(self) -> int:
        """The newest snapshot."""
        snapshot = self.lake.load(TABLE).current_snapshot()
        assert snapshot
        return snapshot.snapshot_id


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    for number, hour in enumerate((TEN, ELEVEN, TWELVE)):
        land(world.table, range(number * 10, number * 10 + 10), hour=hour, files=2)
    return world


def test_it_reaches_the_first_hour_that_is_not_proven_and_goes_on_from_there(world: World) -> None:
    assert world.advance() == Watermark(stopped_by=TEN)
    world.prove(TEN, TWELVE)
    assert world.advance() == Watermark(ELEVEN, world.head(), moved=True, stopped_by=ELEVEN)
    world.prove(ELEVEN)
    assert world.advance() == Watermark(TWELVE + HOUR, world.head(), moved=True)
    assert not world.advance().moved


def test_rows_that_came_after_an_hours_proof_stop_it_and_what_was_said_stays(world: World) -> None:
    world.prove(TEN, ELEVEN, TWELVE)
    before = world.advance()
    land(world.table, range(90, 91), hour=TEN)
    assert world.advance() == Watermark(before.until, before.snapshot_id, moved=False, stopped_by=TEN)
    tagged = world.lake.load(TABLE).scan(snapshot_id=before.snapshot_id).to_arrow()
    assert tagged.num_rows == 30
    world.prove(TEN)
    after = world.advance()
    assert (after.until, after.snapshot_id, after.moved) == (before.until, world.head(), True)


def test_a_proof_that_breaks_stops_it_without_moving_it_back(world: World) -> None:
    world.prove(TEN, ELEVEN, TWELVE)
    before = world.advance()
    world.prove(ELEVEN, missing=1)
    found = world.advance()
    assert (found.until, found.snapshot_id, found.stopped_by) == (before.until, before.snapshot_id, ELEVEN)


def test_an_hour_that_was_compacted_since_has_to_be_proven_again(world: World) -> None:
    world.prove(TEN, ELEVEN, TWELVE)
    assert compact_hour(world.lake, TABLE, TEN).files_after == 1
    assert world.advance().stopped_by == TEN
    world.prove(TEN)
    assert world.advance().until == TWELVE + HOUR


class Meanwhile(SqlProofs):
    """Proofs; while somebody reads them, something else happens."""

    def __init__(self, folder: Path, act: Callable[[], object]) -> None:
        super().__init__(f"sqlite:///{folder}/ledger.db")
        self._act = act

    def verdicts(self, table: str) -> Mapping[datetime, Verdict]:
        found = super().verdicts(table)
        self._act()
        return found


def test_an_older_look_that_commits_late_moves_nothing_back(world: World, tmp_path: Path) -> None:
    world.prove(TEN)

    def overtake() -> None:
        world.prove(ELEVEN, TWELVE)
        land(world.lake.load(TABLE), range(30, 40), hour=TWELVE + HOUR)
        assert world.advance().moved

    found = advance(world.lake, TABLE, Meanwhile(tmp_path, overtake), SystemClock())
    assert (found.until, found.moved) == (TWELVE + HOUR, False)
    assert watermark_of(world.lake.load(TABLE)).until == TWELVE + HOUR


def test_it_moves_though_a_router_commits_at_the_same_moment(world: World, tmp_path: Path) -> None:
    world.prove(TEN, ELEVEN, TWELVE)
    seen = world.head()

    def commit() -> None:
        land(world.lake.load(TABLE), range(100, 110), hour=TWELVE + HOUR)

    found = advance(world.lake, TABLE, Meanwhile(tmp_path, commit), SystemClock())
    assert (found.until, found.snapshot_id, found.moved) == (TWELVE + HOUR, seen, True)
    assert world.head() != seen
    assert world.lake.load(TABLE).scan().to_arrow().num_rows == 40
