"""Compaction is killed (kill -9) at each of its crash points; the table is right and the next run heals it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from assets.compaction.compact import CRASH_POINTS, compact_hour
from keystone_platform.gateways.iceberg_files import is_compaction, live_entries
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.session import open_session
from tests.contract.lake_tables import TABLE, TEN, lake_with_table, land, local_settings
from tests.contract.test_lake_compaction import everything, files_of, on_disk

KILLED = -9
COMMITTED = CRASH_POINTS[5:]


def referenced(lake: IcebergLake) -> set[str]:
    """Files that a snapshot of the table still names."""
    table = lake.load(TABLE)
    return {
        entry.data_file.file_path
        for snapshot in table.snapshots()
        for manifest in snapshot.manifests(table.io)
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)
    }


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_table_is_right_after_a_kill(tmp_path: Path, point: str) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(2000), files=8)
    before = everything(lake)
    size = sum(file.file_size_in_bytes for file in files_of(table)) * 4 // 9
    spill = tmp_path / "spill"
    spill.mkdir()
    command = [sys.executable, "-m", "tests.contract.compaction_to_kill", str(tmp_path), point, str(size)]
    ended = subprocess.run(command, env={**os.environ, "TMPDIR": str(spill)}, check=False, capture_output=True)
    assert ended.returncode == KILLED, ended.stderr.decode()

    assert everything(lake) == before
    with open_session(local_settings(tmp_path)) as session:
        assert session.execute(f"SELECT count(*), count(DISTINCT _offset) FROM {TABLE}").fetchone() == (2000, 2000)
    table.refresh()
    compactions = sum(is_compaction(snapshot) for snapshot in table.snapshots())
    assert compactions == (2 if point in COMMITTED else 1)
    orphans = on_disk(tmp_path) - referenced(lake)
    assert len(orphans) <= 1
    assert not orphans & {entry.data_file.file_path for entry in live_entries(table)}

    assert compact_hour(lake, TABLE, TEN).files_after == 1
    assert everything(lake) == before
    assert on_disk(tmp_path) - referenced(lake) == orphans  # upkeep removes them when they are old enough
