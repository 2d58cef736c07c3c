"""Orphans and unfinished uploads: what nobody refers to goes, what somebody may be about to commit stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assets.compaction.compact import compact_hour
from assets.compaction.rewrite import write_files
from assets.upkeep.places import key_of
from keystone_platform.errors import Terminal
from keystone_platform.gateways.objects import StoredObject, Upload
from tests.contract.folder_store import FolderStore, make_old, path_of
from tests.contract.lake_tables import TABLE, TEN, rows
from tests.contract.upkeep_tables import World, commit, new_world

DAYS = timedelta(days=1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = new_world(tmp_path)
    for number in range(3):
        commit(world.table, range(number * 10, number * 10 + 10), job=None)
    world.clock.by = timedelta(0)
    return world


def uncommitted(world: World, offsets: range) -> str:
    """A data file that a crash left, or that somebody is about to commit."""
    table = world.table
    (file,) = write_files(table, rows(table, offsets).to_batches(), TEN, target_bytes=1 << 30)
    return path_of(file.file_path).name


def age(world: World, days: float) -> None:
    make_old(world.folder / "warehouse", datetime.now(UTC) - days * DAYS)


def test_what_a_crash_left_goes_when_it_is_old_and_nothing_else(world: World) -> None:
    compact_hour(world.lake, TABLE, TEN)
    kept = world.files()
    rows_before = world.every_snapshot()
    left = uncommitted(world, range(100, 110))
    lost_race = world.table.metadata_location.removeprefix("file://").replace("/0", "/9")
    Path(lost_race).write_text("{}")
    age(world, 4)
    dry = world.upkeep("orphans", dry_run=True)
    assert left in world.files()
    report = world.upkeep("orphans")
    assert report.removed == dry.removed
    assert (report.count("orphan data files"), report.count("orphan metadata files")) == (1, 1)
    assert (world.files(), world.every_snapshot()) == (kept, rows_before)
    assert world.upkeep("orphans").removed == ()


def test_what_is_younger_than_the_safe_age_stays(world: World) -> None:
    left = uncommitted(world, range(100, 110))
    age(world, 2.9)
    assert world.upkeep("orphans").removed == ()
    assert world.upkeep("orphans", older_than=2 * DAYS).count("orphan data files") == 1
    assert left not in world.files()


def test_files_that_a_router_wrote_after_its_last_commit_wait_for_it_however_long_it_is_down(world: World) -> None:
    """It ended between checkpoint and commit: started from that checkpoint, it commits them."""
    pending = uncommitted(world, range(100, 110))
    commit(world.table, range(50, 60), job="router", checkpoint=7)
    age(world, 0)
    world.clock.by = 30 * DAYS
    assert world.upkeep("orphans").removed == ()
    assert pending in world.files()
    make_old(world.folder / "warehouse", datetime.now(UTC) - timedelta(hours=2))  # before that commit: nobody's
    assert world.upkeep("orphans").count("orphan data files") == 1


def test_a_file_that_only_an_old_snapshot_reaches_is_no_orphan(world: World) -> None:
    left = uncommitted(world, range(100, 110))
    compact_hour(world.lake, TABLE, TEN)  # the heads reach none of the files before it
    age(world, 4)
    assert world.upkeep("orphans").count("orphan data files") == 1
    assert left not in world.files()
    assert [len(each) for each in world.every_snapshot().values()] == [10, 20, 30, 30]


def test_a_file_that_is_committed_while_the_listing_goes_on_stays(world: World) -> None:
    table = world.table
    (file,) = write_files(table, rows(table, range(100, 110)).to_batches(), TEN, target_bytes=1 << 30)
    age(world, 4)
    walk = world.store.walk

    def commit_in_between(prefix: str) -> list[StoredObject]:
        listed = list(walk(prefix))
        table.refresh()
        with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
            append.append_data_file(file)
        return listed

    world.store.walk = commit_in_between  # type: ignore[method-assign,assignment]
    assert world.upkeep("orphans").removed == ()
    assert world.offsets()[-1] == 109


class RenamedStore(FolderStore):
    """Lists the objects under another scheme than the table's metadata names them with."""

    def walk(self, prefix: str):  # noqa: ANN201
        for each in super().walk(prefix):
            yield StoredObject(f"s3a://bucket/{key_of(each.uri)}", each.bytes, each.modified)


def test_paths_under_another_scheme_are_the_same_files(world: World) -> None:
    world.store = RenamedStore()
    age(world, 4)
    assert world.upkeep("orphans").removed == ()


class StrangeStore(FolderStore):
    """Lists objects whose keys are not those of the metadata at all."""

    def walk(self, prefix: str):  # noqa: ANN201
        for each in super().walk(prefix):
            yield StoredObject(f"{each.uri}.moved", each.bytes, each.modified)


def test_paths_that_do_not_match_at_all_are_an_error_and_never_a_thousand_orphans(world: World) -> None:
    world.store = StrangeStore()
    age(world, 4)
    before = world.files()
    assert isinstance(world.upkeep("orphans").error, Terminal)
    assert world.files() == before


def test_two_tables_in_one_folder_are_told_and_left_alone(world: World) -> None:
    table = world.table
    world.lake.catalog.create_table("events.inner", table.schema(), location=f"{table.location()}/data/inner")
    left = uncommitted(world, range(100, 110))
    age(world, 4)
    report = world.upkeep("orphans")
    assert (report.removed, report.error) == ((), None)
    assert "events.inner" in report.notes[0]
    assert left in world.files()


def test_uploads_that_nobody_ended_are_aborted_when_they_are_old(world: World) -> None:
    now, inside = datetime.now(UTC), f"{world.table.location()}/data/x.parquet"
    old, young = Upload(inside, "1", now - 4 * DAYS), Upload(inside, "2", now - 2 * DAYS)
    other = Upload("file:///elsewhere/x", "3", now - 9 * DAYS)
    world.store.unfinished = [old, young, other]
    assert world.upkeep("uploads", dry_run=True).count("uploads") == 1
    assert world.upkeep("uploads").count("uploads") == 1
    assert world.store.unfinished == [young, other]
