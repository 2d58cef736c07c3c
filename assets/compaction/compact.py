"""Compaction of an hour or a table: select, rewrite, commit. What Dagster's asset and the command line both call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from assets.compaction.commit import replace_files
from assets.compaction.rewrite import Rewritten, rewrite
from assets.compaction.select import InputFile, Policy, choose_files
from keystone_platform.errors import Terminal, UnknownOutcome
from keystone_platform.gateways.iceberg_files import live_entries
from keystone_platform.gateways.lake import IcebergLake

Remove = Callable[[Sequence[str]], object]
"""Deletes files by URI."""


@dataclass(frozen=True)
class CompactionReport:
    """What a compaction of one hour did; files and bytes are the hour's, those left alone included.

    Attributes:
        rows: rows in the rewritten files; the same before and after.
        snapshot_id: the last commit; None when nothing was worth rewriting.
        duplicates: rows among the rewritten ones whose identity occurs before.
        written: URIs of the new files.
    """

    table: str
    hour: datetime | None
    rows: int = 0
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    snapshot_id: int | None = None
    duplicates: int = 0
    written: tuple[str, ...] = ()


def compact_table(
    lake: IcebergLake, table: str, policy: Policy | None = None, remove: Remove | None = None
) -> tuple[CompactionReport, ...]:
    """Compact every hour of the table that has two small files or more, closed or not; reports in order of hours."""
    hours = [total.hour for total in lake.hours(table) if total.small_files > 1]
    return tuple(compact_hour(lake, table, hour, policy, remove) for hour in hours)


def compact_hour(
    lake: IcebergLake,
    table: str,
    hour: datetime | None,
    policy: Policy | None = None,
    remove: Remove | None = None,
) -> CompactionReport:
    """Merge the hour's small files into large sorted ones.

    A reader sees each row exactly once at every moment; rows appended meanwhile stay. A crash leaves files that
    nobody refers to, never a loss. Blocks for minutes with gigabytes; harmless to repeat.

    Args:
        lake: where the table is.
        table: `namespace.table`.
        hour: start of the hour, UTC; None for rows without a time.
        policy: default Policy().
        remove: deletes files of a commit that failed; default: through the catalog's own file access.

    Raises:
        Conflict, Transient, UnknownOutcome, Terminal: see replace_files; only UnknownOutcome leaves new files.
    """
    policy = policy or Policy()
    loaded = lake.load(table)
    with lake.translated():
        _refuse_delete_files(loaded)
        before = _files(loaded, hour)
        groups = choose_files([InputFile(file.file_path, file.file_size_in_bytes) for file in before.values()], policy)
        done = [
            _compact_group(loaded, [before[file.path] for file in group], hour, policy, remove or _remover(loaded))
            for group in groups
        ]
        after = _files(loaded, hour) if done else before
    return CompactionReport(
        table=table,
        hour=hour,
        rows=sum(group.result.rows for group in done),
        files_before=len(before),
        files_after=len(after),
        bytes_before=_bytes(before.values()),
        bytes_after=_bytes(after.values()),
        snapshot_id=done[-1].snapshot_id if done else None,
        duplicates=sum(group.result.duplicates for group in done),
        written=tuple(file.file_path for group in done for file in group.result.files),
    )


@dataclass(frozen=True)
class _Group:
    result: Rewritten
    snapshot_id: int


def _compact_group(
    table: Table, inputs: Sequence[DataFile], hour: datetime | None, policy: Policy, remove: Remove
) -> _Group:
    result = rewrite(table, inputs, hour, policy)
    try:
        return _Group(result, replace_files(table, inputs, result.files, hour))
    except UnknownOutcome:
        raise
    except Exception:  # not BaseException: an interrupt in the middle of the commit leaves its outcome unknown
        remove([file.file_path for file in result.files])
        raise


def _files(table: Table, hour: datetime | None) -> dict[str, DataFile]:
    """Return the hour's files by path, in the order of their commits."""
    entries = sorted(live_entries(table, {hour}), key=lambda entry: entry.sequence_number or 0)
    return {entry.data_file.file_path: entry.data_file for entry in entries}


def _bytes(files: Iterable[DataFile]) -> int:
    return sum(file.file_size_in_bytes for file in files)


def _remover(table: Table) -> Remove:
    def remove(paths: Sequence[str]) -> None:
        for path in paths:
            table.io.delete(path)

    return remove


def _refuse_delete_files(table: Table) -> None:
    snapshot = table.current_snapshot()
    deletes = (
        snapshot.summary.additional_properties.get("total-delete-files", "0") if snapshot and snapshot.summary else "0"
    )
    if deletes != "0":
        message = f"{'.'.join(table.name())} has delete files, which this compaction would bring to life again"
        raise Terminal(message, mend="Let the engine that wrote them rewrite the table.")
