"""The swap of a backfill on real tables: exactly its rows leave and come, whatever happens in between."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import DataFile
from pyiceberg.table import CommitTableResponse, Table

from assets.backfill.intent import begin, give_up, unfinished, written
from assets.backfill.rows import landed
from assets.backfill.swap import Swapped, swap, swapped
from assets.compaction.compact import compact_hour
from assets.compaction.rewrite import write_files
from keystone_platform.errors import Conflict, Transient
from keystone_platform.gateways.iceberg_files import changes_since
from keystone_platform.gateways.lake import FLINK_JOB_ID, IcebergLake
from keystone_platform.plan.backfill import Backfill, Scope, Span, TimeRange, hours
from tests.contract.lake_tables import ELEVEN, TABLE, TEN, lake_with_table, land, local_settings, rows

Identity = tuple[int, int, int | None]


class NoClock:
    """A clock that passes no time."""

    def now(self) -> datetime:
        return TEN.astimezone(UTC)

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0


def scope(*ends: int, begin: int = 0, times: Sequence[TimeRange] = ()) -> Scope:
    """Offsets from `begin` to each partition's end."""
    spans = [
        Span(topic="playback", partition=part, begin=begin, end=end) for part, end in enumerate(ends) if end > begin
    ]
    return Scope(times=tuple(times), spans=tuple(spans))


def write_branch(table: Table, backfill: Backfill, offsets: Sequence[int], hour: datetime = TEN) -> None:
    """Commit rows to the branch as the backfill's job does; their guid says that they are new."""
    batch = rows(table, offsets, hour)
    guid = batch.schema.get_field_index("_guid")
    field = batch.schema.field(guid)
    batch = batch.set_column(guid, field, pa.array([f"new-{offset}" for offset in offsets], field.type))
    files = write_files(table, batch.to_batches(), hour, target_bytes=1 << 30)
    commit_to_branch(table, backfill, files)


def commit_to_branch(table: Table, backfill: Backfill, files: Sequence[DataFile]) -> None:
    table.refresh()
    transaction = table.transaction()
    append = transaction.update_snapshot(
        snapshot_properties={FLINK_JOB_ID: backfill.job_id}, branch=backfill.branch
    ).fast_append()
    with append:
        for file in files:
            append.append_data_file(file)
    transaction.commit_transaction()
    table.refresh()


def seen(table: Table) -> Counter[Identity]:
    """What a reader sees: partition, offset, and the offset again where the row is a backfill's."""
    table.refresh()
    found = table.scan(selected_fields=("_partition", "_offset", "_guid")).to_arrow().to_pylist()
    return Counter(
        (row["_partition"], row["_offset"], row["_offset"] if str(row["_guid"]).startswith("new") else None)
        for row in found
    )


def old(offsets: Sequence[int], partition: int = 0) -> Counter[Identity]:
    return Counter((partition, offset, None) for offset in offsets)


def new(offsets: Sequence[int], partition: int = 0) -> Counter[Identity]:
    return Counter((partition, offset, offset) for offset in offsets)


def replayed(table: Table, chosen: Scope, offsets: Sequence[int], hour: datetime = TEN) -> Backfill:
    backfill = begin(table, "request", chosen)
    if offsets:
        write_branch(table, backfill, offsets, hour)
    return backfill


def run(table: Table, backfill: Backfill) -> Swapped:
    table.refresh()
    return swap(table, backfill, written(table, backfill), NoClock())


def test_rows_of_the_scope_are_replaced_and_all_others_stay(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100), files=4)
    land(table, range(100), partition=1)
    land(table, range(100, 150), hour=ELEVEN)
    backfill = replayed(table, scope(90, begin=10, times=hours([TEN])), range(20, 40))
    done = run(table, backfill)
    assert (done.removed, done.added) == (80, 20)
    kept = old([*range(10), *range(90, 100)]) + old(range(100), 1) + old(range(100, 150))
    assert seen(table) == kept + new(range(20, 40))
    assert backfill.branch not in table.refs()
    assert unfinished(table) == {}
    assert changes_since(table, None).hours[0].hour == TEN
    assert lake.head(TABLE)


def test_the_branch_shows_nobody_anything_before_the_swap(tmp_path: Path) -> None:
    _, table = lake_with_table(tmp_path)
    land(table, range(10))
    backfill = replayed(table, scope(10), range(10))
    assert seen(table) == old(range(10))
    assert [file.record_count for file in written(table, backfill)] == [10]


def test_rows_that_somebody_deleted_come_back(tmp_path: Path) -> None:
    _, table = lake_with_table(tmp_path)
    land(table, range(10), hour=ELEVEN)
    assert run(table, replayed(table, scope(10, times=hours([TEN])), range(5))).removed == 0
    assert seen(table) == old(range(10)) + new(range(5))


def test_rows_that_should_never_have_landed_leave(tmp_path: Path) -> None:
    _, table = lake_with_table(tmp_path)
    land(table, range(10))
    assert run(table, replayed(table, scope(8), [])).added == 0
    assert seen(table) == old([8, 9])


def test_a_part_of_an_hour_is_replaced_by_time(tmp_path: Path) -> None:
    _, table = lake_with_table(tmp_path)
    land(table, range(100))  # one a millisecond
    middle = TimeRange(start=TEN.replace(microsecond=20_000), end=TEN.replace(microsecond=30_000))
    run(table, replayed(table, scope(100, times=[middle]), [25]))
    assert seen(table) == old([*range(20), *range(30, 100)]) + new([25])


def test_rows_that_a_router_appends_meanwhile_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, table = lake_with_table(tmp_path)
    land(table, range(20))
    backfill = replayed(table, scope(20), range(20))
    appended = iter(range(20, 23))

    def append() -> None:
        if (offset := next(appended, None)) is not None:
            land(local_table(tmp_path), range(offset, offset + 1))

    before_commit(monkeypatch, append)
    run(table, backfill)
    assert seen(table) == new(range(20)) + old(range(20, 23))


def test_a_compaction_in_between_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(30), files=3)
    backfill = replayed(table, scope(25), range(25))
    once = iter([True])
    before_commit(monkeypatch, lambda: next(once, None) and compact_hour(lake, TABLE, TEN))
    run(table, backfill)
    assert seen(table) == new(range(25)) + old(range(25, 30))


def test_a_second_process_that_swaps_the_same_swaps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, table = lake_with_table(tmp_path)
    land(table, range(10), hour=ELEVEN)
    backfill = replayed(table, scope(10, times=hours([TEN])), range(5))  # nothing to remove: no file tells of it
    rival = local_table(tmp_path)
    once = iter([True])
    before_commit(monkeypatch, lambda: next(once, None) and run(rival, backfill))
    done = run(table, backfill)
    assert seen(table) == old(range(10)) + new(range(5))
    assert done == swapped(table, backfill)


def test_overlapping_backfills_leave_the_rows_of_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, table = lake_with_table(tmp_path)
    land(table, range(10), hour=ELEVEN)
    first = begin(table, "first", scope(10, times=hours([TEN])))
    write_branch(table, first, range(5))
    second = begin(table, "second", scope(8, times=hours([TEN])))
    write_branch(table, second, range(5))
    rival, once = local_table(tmp_path), iter([True])
    before_commit(monkeypatch, lambda: next(once, None) and run(rival, first))
    assert run(table, second).removed == 5
    assert seen(table) == old(range(10)) + new(range(5))


@pytest.mark.parametrize("lands", [True, False], ids=["it landed", "it did not"])
def test_a_commit_without_an_answer_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lands: bool) -> None:
    _, table = lake_with_table(tmp_path)
    land(table, range(10))
    backfill = replayed(table, scope(5), range(5))
    commit, once = SqlCatalog.commit_table, iter([True])

    def silent(*arguments: object) -> CommitTableResponse:
        if next(once, None) is None:
            return commit(*arguments)  # type: ignore[arg-type] # passed on as they came
        if lands:
            commit(*arguments)  # type: ignore[arg-type] # passed on as they came
        raise ConnectionResetError

    monkeypatch.setattr(SqlCatalog, "commit_table", silent)
    assert run(table, backfill).added == 5
    assert seen(table) == new(range(5)) + old(range(5, 10))


def test_a_table_that_never_rests_changes_nothing_and_the_backfill_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, table = lake_with_table(tmp_path)
    land(table, range(10))
    backfill = replayed(table, scope(5), range(5))

    def refuse(*_: object) -> CommitTableResponse:
        raise CommitFailedException

    with monkeypatch.context() as patch:
        patch.setattr("assets.backfill.swap.ATTEMPTS", 3)
        patch.setattr(SqlCatalog, "commit_table", refuse)
        with pytest.raises(Transient):
            run(table, backfill)
    assert seen(table) == old(range(10))
    assert unfinished(table)["request"] == backfill
    run(table, backfill)
    assert seen(table) == new(range(5)) + old(range(5, 10))


def test_one_that_was_given_up_is_never_swapped_in(tmp_path: Path) -> None:
    _, table = lake_with_table(tmp_path)
    land(table, range(10))
    backfill = replayed(table, scope(10), range(5))
    files = written(table, backfill)
    give_up(table, backfill)
    give_up(table, backfill)
    with pytest.raises(Conflict):
        swap(table, backfill, files, NoClock())
    assert (seen(table), unfinished(table)) == (old(range(10)), {})


def test_what_landed_tells_how_far_late_rows_reach(tmp_path: Path) -> None:
    _, table = lake_with_table(tmp_path)
    land(table, range(5, 10))
    land(table, range(10, 20), hour=ELEVEN)
    land(table, range(20, 22))
    found = landed(table, hours([TEN]))
    assert found == {("playback", 0): Span(topic="playback", partition=0, begin=5, end=22)}


STEPS = ("write_files", "commit", "after commit")


@pytest.mark.parametrize("step", STEPS)
def test_a_process_killed_at_any_step_leaves_old_rows_or_new_and_can_be_repeated(tmp_path: Path, step: str) -> None:
    _, table = lake_with_table(tmp_path)
    land(table, range(20), files=2)
    backfill = replayed(table, scope(15), range(15))
    before, after = old(range(20)), new(range(15)) + old(range(15, 20))
    processes = multiprocessing.get_context("forkserver")  # threads of this process would not live on in a fork
    processes.set_forkserver_preload([__name__])
    worker = processes.Process(target=swap_and_die, args=(tmp_path, backfill, step))
    worker.start()
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL
    assert seen(table) == (after if step == "after commit" else before)
    assert run(table, backfill).added == 15
    assert seen(table) == after
    assert backfill.branch not in table.refs()


def swap_and_die(folder: Path, backfill: Backfill, step: str) -> None:
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        if step == "write_files":
            patch.setattr("assets.backfill.swap.write_files", lambda *_: die())
        elif step == "commit":
            before_commit(patch, die)
        else:
            after_commit(patch, die)
        run(local_table(folder), backfill)


def local_table(folder: Path) -> Table:
    """The same table as another process has it."""
    return IcebergLake(local_settings(folder)).load(TABLE)


def before_commit(patch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something right before the first commit of a swap reaches the catalog; what is done commits as usual."""
    commit = SqlCatalog.commit_table
    busy: list[bool] = []

    def acting(*arguments: object) -> CommitTableResponse:
        if not busy:
            busy.append(True)
            act()
            busy.clear()
        return commit(*arguments)  # type: ignore[arg-type] # passed on as they came

    patch.setattr(SqlCatalog, "commit_table", acting)


def after_commit(patch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    commit = SqlCatalog.commit_table

    def acting(*arguments: object) -> CommitTableResponse:
        answer = commit(*arguments)  # type: ignore[arg-type] # passed on as they came
        act()
        return answer

    patch.setattr(SqlCatalog, "commit_table", acting)
