"""Upkeep killed at each step, and beside everybody else: every snapshot stays whole, the next run removes the rest."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assets.compaction.compact import compact_hour
from assets.compaction.rewrite import write_files
from keystone_platform.errors import Conflict, Transient
from keystone_platform.gateways.lake import IcebergLake
from tests.contract.folder_store import make_old
from tests.contract.lake_tables import ELEVEN, TABLE, TEN, land, local_settings, rows
from tests.contract.test_upkeep_snapshots import reached
from tests.contract.upkeep_crash import AHEAD, KEEP_DAYS, POINTS, upkeep_until
from tests.contract.upkeep_tables import TOPICS, World, commit, new_world

WORKERS = multiprocessing.get_context("forkserver")
WORKERS.set_forkserver_preload(["tests.contract.upkeep_crash"])
"""Imports once what each process that is to be killed needs."""

GRACE_S = 4
"""What a reader in these tests has to read what it began to read."""

RECENT = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + AHEAD - timedelta(days=1)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with something to do for each task: hours past their age, old snapshots, orphans."""
    world = new_world(tmp_path_factory.mktemp("lake"))
    for number in range(3):
        commit(world.table, range(number * 10, number * 10 + 10), checkpoint=number)
    compact_hour(world.lake, TABLE, TEN)
    commit(world.table, range(30, 40), hour=RECENT, checkpoint=3)
    compact_hour(world.lake, TABLE, TEN)
    for number in range(4):  # orphans
        write_files(world.table, rows(world.table, range(90, 95 + number)).to_batches(), TEN, target_bytes=1 << 30)
    make_old(world.folder / "warehouse", datetime.now(UTC) - timedelta(hours=3))
    return world.folder


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_loses_nothing_and_the_next_run_leaves_nothing(
    before: Path, tmp_path: Path, point: str
) -> None:
    folder = before  # paths in the metadata are absolute, so the table is put back in its place
    shutil.copytree(folder, tmp_path / "copy")
    try:
        worker = WORKERS.Process(target=upkeep_until, args=(folder, point))
        worker.start()
        worker.join()
        assert worker.exitcode == -signal.SIGKILL
        world = World(folder, IcebergLake(local_settings(folder)), keep_days=KEEP_DAYS)
        world.clock.by = AHEAD
        assert len(world.every_snapshot()) >= 1
        assert world.offsets() in (list(range(40)), list(range(30, 40)))
        assert world.lake.next_offsets(TABLE, TOPICS) == {"playback": {0: 40}}
        assert world.lake.committed_checkpoint(TABLE, "job-a") == 3
        make_old(folder / "warehouse", datetime.now(UTC) - timedelta(hours=3))
        assert world.upkeep().error is None
        assert world.offsets() == list(range(30, 40))
        world.every_snapshot()
        assert world.files() == reached(world.table)
    finally:
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "copy", folder)


def test_beside_a_router_a_compaction_and_a_reader_each_row_is_there_once(tmp_path: Path) -> None:
    world = new_world(tmp_path)
    world.clock.by = timedelta(0)
    done = threading.Event()
    landed = [0]
    problems: list[object] = []

    def append() -> None:
        table = IcebergLake(local_settings(tmp_path)).load(TABLE)
        while not done.wait(0.2):  # a router commits once a second at most
            start = landed[0]
            land(table, range(start, start + 10), hour=(TEN, ELEVEN)[start // 10 % 2])
            landed[0] = start + 10

    def compact() -> None:
        lake = IcebergLake(local_settings(tmp_path))
        while not done.wait(0.05):
            for hour in (TEN, ELEVEN):
                with suppress(Conflict, Transient):
                    compact_hour(lake, TABLE, hour)

    def read() -> None:
        lake = IcebergLake(local_settings(tmp_path))
        while not done.is_set():
            known, began = landed[0], time.monotonic()
            try:
                found = lake.load(TABLE).scan(selected_fields=("_offset",)).to_arrow().column("_offset").to_pylist()
            except FileNotFoundError:
                if time.monotonic() - began < GRACE_S:
                    raise
                continue
            if sorted(found) != list(range(len(found))) or len(found) < known:
                problems.append((known, sorted(found)))

    def watched(act) -> None:  # noqa: ANN001
        try:
            act()
        except Exception as error:  # told by the test
            problems.append(error)

    threads = [threading.Thread(target=watched, args=(act,)) for act in (append, compact, read)]
    for thread in threads:
        thread.start()
    expiries = expired = 0
    until = time.monotonic() + 30
    try:
        while expiries < 2 and time.monotonic() < until and not problems:
            report = world.upkeep("snapshots", older_than=timedelta(seconds=GRACE_S), below_floor=True)
            expired += report.count("snapshots")
            expiries += bool(report.count("data files"))
            problems += [report.error] if report.error and not isinstance(report.error, Transient) else []
            done.wait(0.5)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert problems == []
    assert expired > 0
    assert world.offsets() == list(range(landed[0]))
    world.every_snapshot()
