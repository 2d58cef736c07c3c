"""Expiry on real tables: what is left stays whole, and nothing that went leaves a file behind."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pyiceberg.table import Table

from assets.compaction.compact import compact_hour
from assets.compaction.rewrite import write_files
from assets.upkeep import expire
from assets.upkeep.reach import live_files, manifests_of
from keystone_platform.errors import Transient
from keystone_platform.gateways.lake import FLINK_JOB_ID
from tests.contract.folder_store import path_of
from tests.contract.lake_tables import ELEVEN, TABLE, TEN, rows
from tests.contract.upkeep_tables import World, commit, new_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return new_world(tmp_path)


def fill(world: World, commits: int = 6) -> None:
    """Commits of a router, merged by a compaction, and one more after it."""
    for number in range(commits):
        commit(world.table, range(number * 10, number * 10 + 10), checkpoint=number)
    compact_hour(world.lake, TABLE, TEN)
    commit(world.table, range(commits * 10, commits * 10 + 10), checkpoint=commits)


def reached(table: Table) -> set[str]:
    """All that the table's snapshots reach, read in pyiceberg's own way, and its metadata files."""
    metadata = table.metadata
    manifests = [manifest for each in metadata.snapshots for manifest in each.manifests(table.io)]
    entries = [entry for each in manifests for entry in each.fetch_manifest_entry(table.io, discard_deleted=True)]
    paths = {
        table.metadata_location,
        *(each.metadata_file for each in metadata.metadata_log),
        *(each.manifest_list for each in metadata.snapshots),
        *(each.manifest_path for each in manifests),
        *(entry.data_file.file_path for entry in entries),
    }
    return {path_of(path).name for path in paths}


def test_the_narrow_reading_of_manifests_tells_what_pyiceberg_tells(world: World) -> None:
    fill(world)
    table = world.table
    lists = [each.manifest_list for each in table.metadata.snapshots]
    full = {
        (each.manifest_path, each.manifest_length) for s in table.metadata.snapshots for each in s.manifests(table.io)
    }
    assert set(manifests_of(table.io, lists)) == full
    entries = [
        entry.data_file
        for snapshot in table.metadata.snapshots
        for manifest in snapshot.manifests(table.io)
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
    ]
    told = set(live_files(table.io, [path for path, _ in full]))
    assert told == {(file.file_path, file.file_size_in_bytes) for file in entries}


def test_old_snapshots_go_with_all_that_only_they_reached(world: World) -> None:
    fill(world)
    rows = world.offsets()
    report = world.upkeep("snapshots")
    assert report.error is None
    assert (report.count("snapshots"), report.count("data files")) == (7, 6)
    assert world.offsets() == rows
    assert world.files() == reached(world.table)
    assert world.upkeep("snapshots").removed == ()


def test_a_dry_run_tells_the_same_and_touches_nothing(world: World) -> None:
    fill(world)
    before, location = world.files(), world.table.metadata_location
    told = world.upkeep("snapshots", dry_run=True)
    assert (world.files(), world.table.metadata_location) == (before, location)
    assert told.removed == world.upkeep("snapshots").removed


def test_a_tagged_snapshot_is_read_to_the_end_after_everything_else_went(world: World) -> None:
    fill(world)
    proven = world.table.metadata.snapshots[3].snapshot_id
    world.table.manage_snapshots().create_tag(proven, "proven").commit()
    rows = world.offsets(proven)
    assert len(rows) == 40
    assert world.upkeep("snapshots").count("data files") == 2
    assert world.every_snapshot()[proven] == rows
    assert world.files() == reached(world.table)


def test_a_reader_of_what_was_the_newest_state_a_moment_ago_has_its_grace(world: World) -> None:
    fill(world)
    world.clock.by = timedelta(hours=5)
    assert world.upkeep("snapshots").removed == ()


def test_the_table_says_what_stays(tmp_path: Path) -> None:
    world = new_world(tmp_path, **{"history.expire.min-snapshots-to-keep": "5"})
    fill(world)
    assert world.upkeep("snapshots").count("snapshots") == 3
    with world.table.transaction() as transaction:
        transaction.set_properties({"history.expire.max-snapshot-age-ms": str(10 * 24 * 3600 * 1000)})
    assert world.upkeep("snapshots").removed == ()


def test_an_hourly_run_waits_until_it_is_worth_its_requests(world: World) -> None:
    fill(world)  # seven of eight may go
    assert world.upkeep("snapshots", worth=0.9).removed == ()
    assert world.upkeep("snapshots", worth=0.8).count("snapshots") == 7


def test_a_table_that_shares_its_files_is_left_alone(tmp_path: Path) -> None:
    world = new_world(tmp_path, **{"gc.enabled": "false"})
    fill(world)
    before = world.files()
    report = world.upkeep()
    assert (report.removed, world.files()) == ((), before)
    assert "gc.enabled" in report.notes[0]


def test_the_next_start_still_knows_what_was_committed_and_flink_finds_it_without_a_gap(world: World) -> None:
    for number in range(4):
        commit(world.table, range(number * 10, number * 10 + 10), job="old", checkpoint=number)
    for number in range(4, 8):
        commit(world.table, range(number * 10, number * 10 + 10), job="new", checkpoint=number)
    for _ in range(3):  # nothing but compaction since: a quiet stream
        commit(world.table, [1000], job=None)
        compact_hour(world.lake, TABLE, TEN)
    assert world.upkeep("snapshots").count("snapshots") == 6
    assert [world.lake.committed_checkpoint(TABLE, job) for job in ("old", "new")] == [3, 7]
    assert flink_finds(world.table) == "new"


def flink_finds(table: Table) -> str | None:
    """The job that Iceberg's Flink committer meets on its way from the head through the parents."""
    at = table.current_snapshot()
    while at and at.summary and FLINK_JOB_ID not in at.summary.additional_properties:
        at = table.snapshot_by_id(at.parent_snapshot_id) if at.parent_snapshot_id else None
    return at.summary.additional_properties[FLINK_JOB_ID] if at and at.summary else None


def test_a_tag_that_comes_in_the_moment_of_the_expiry_keeps_its_snapshot(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world)
    old = world.table.metadata.snapshots[3].snapshot_id
    rows = world.offsets(old)
    once = [lambda: world.table.manage_snapshots().create_tag(old, "proven").commit()]
    between(monkeypatch, once)
    assert world.upkeep("snapshots").error is None
    assert once == []
    assert world.every_snapshot()[old] == rows


def test_commits_of_a_router_in_between_make_it_look_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(world)
    more = [lambda number=number: commit(world.table, [500 + number], checkpoint=50 + number) for number in range(3)]
    between(monkeypatch, more)
    report = world.upkeep("snapshots")
    assert more == []
    # of the three that came, two are past their age by the clock of the test
    assert (report.error, report.count("snapshots")) == (None, 10)
    assert world.offsets()[-3:] == [500, 501, 502]
    assert world.files() >= reached(world.table)


def test_a_table_that_never_stands_still_is_told_and_nothing_is_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world)
    monkeypatch.setattr(expire, "ATTEMPTS", 3)
    between(monkeypatch, [lambda: commit(world.table, [500])] * 3)
    report = world.upkeep("snapshots")
    assert isinstance(report.error, Transient)
    assert report.removed == ()
    assert len(world.every_snapshot()) > 8


def between(monkeypatch: pytest.MonkeyPatch, acts: list) -> None:
    """Do one of the acts, if there is one left, right before each attempt of upkeep to commit."""
    original = Table._do_commit

    def commit_after(self: Table, updates: tuple, requirements: tuple) -> None:
        if any(type(update).__name__ == "RemoveSnapshotsUpdate" for update in updates) and acts:
            acts.pop(0)()
        original(self, updates, requirements)

    monkeypatch.setattr(Table, "_do_commit", commit_after)


def test_a_branch_being_filled_keeps_all_that_it_wrote(world: World) -> None:
    fill(world)
    table = world.table
    head = table.current_snapshot()
    assert head
    table.manage_snapshots().create_branch(head.snapshot_id, "backfill-7").commit()
    before = commit(table, range(200, 210))
    for number in range(3):
        _onto(table, "backfill-7", range(300 + number, 301 + number))
    world.upkeep("snapshots")
    heads = {name: ref.snapshot_id for name, ref in world.table.metadata.refs.items()}
    assert set(heads) == {"main", "backfill-7"}
    assert len(world.offsets(heads["backfill-7"])) == 73
    assert heads["main"] == before
    assert world.files() == reached(world.table)


def _onto(table: Table, branch: str, offsets: range) -> None:
    table.refresh()
    files = write_files(table, rows(table, offsets, ELEVEN).to_batches(), ELEVEN, target_bytes=1 << 30)
    with table.transaction() as transaction, transaction.update_snapshot(branch=branch).fast_append() as append:
        for file in files:
            append.append_data_file(file)
