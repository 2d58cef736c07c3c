"""Compaction of an hour or a table: select, rewrite, commit. What Dagster's asset and the command line both call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from assets.compaction.commit import replace_files
from assets.compaction.plan import HourPlan, files_of, plan_hour, worthwhile
from assets.compaction.rewrite import POINTS, Reached, Rewritten, Workshop, rewrite, workshop
from assets.compaction.select import Policy
from keystone_platform.errors import UnknownOutcome
from keystone_platform.gateways.lake import IcebergLake

Remove = Callable[[Sequence[str]], object]
"""Deletes files by URI."""

CRASH_POINTS = (*POINTS, "before the commit", "committed, the answer lost", "committed, not reported")
"""Where a compaction may be cut off, in order. At each of them the table is right: every file in it is complete, and
every row is in exactly one. What the cut leaves is files that no snapshot names. `reached` is told of all but the last
but one, which is inside the catalog."""


@dataclass(frozen=True)
class CompactionReport:
    """What a compaction of one hour did; files and bytes are the hour's, those left alone included.

    Attributes:
        rows: rows in the rewritten files; the same before and after.
        snapshot_id: the last commit; None when nothing was worth rewriting.
        duplicates: rows among the rewritten ones whose identity the row before has as well.
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


@dataclass(frozen=True)
class Progress:
    """That a group of files is about to be rewritten: the `number`-th of `groups`, from 1."""

    hour: datetime | None
    number: int
    groups: int
    files: int
    bytes: int


@dataclass(frozen=True)
class Choices:
    """How to compact, beyond which hour.

    Attributes:
        policy: when and how much.
        sort_by: columns to sort by before the identity, as the table's route declares them.
        remove: deletes files of a commit that failed; default: through the catalog's own file access.
        tell: called before each group.
        reached: called at each of CRASH_POINTS; for tests.
    """

    policy: Policy = field(default_factory=Policy)
    sort_by: tuple[str, ...] = ()
    remove: Remove | None = None
    tell: Callable[[Progress], object] = lambda _: None
    reached: Reached = lambda _: None


def compact_table(
    lake: IcebergLake, table: str, policy: Policy | None = None, choices: Choices | None = None
) -> tuple[CompactionReport, ...]:
    """Compact every hour of the table that has small files worth merging, closed or not; reports in order of hours."""
    return tuple(compact_hour(lake, table, hour, policy, choices=choices) for hour in worthwhile(lake.hours(table)))


def compact_hour(
    lake: IcebergLake,
    table: str,
    hour: datetime | None,
    policy: Policy | None = None,
    remove: Remove | None = None,
    choices: Choices | None = None,
) -> CompactionReport:
    """Merge the hour's small files into large sorted ones.

    A reader sees each row exactly once at every moment; rows appended meanwhile stay. A crash or an interrupt leaves
    files that nobody refers to, never a loss. Each group of files is a commit: what was done before a failure stays.
    Blocks for minutes with gigabytes; harmless to repeat.

    Args:
        lake: where the table is.
        table: `namespace.table`.
        hour: start of the hour, UTC; None for rows without a time.
        policy: default that of the choices.
        remove: default that of the choices.
        choices: default Choices().

    Raises:
        Conflict, Transient, UnknownOutcome, Terminal: see rewrite and replace_files; only UnknownOutcome leaves files.
    """
    choices = choices or Choices()
    policy = policy or choices.policy
    loaded = lake.load(table)
    with lake.translated():
        plan = plan_hour(loaded, hour, policy)
        work = _Work(loaded, plan, choices, remove or choices.remove or _remover(loaded))
        done = work.all_groups(policy) if plan.groups else []
        after = files_of(loaded, hour) if done else plan.files
    return CompactionReport(
        table=table,
        hour=hour,
        rows=sum(group.result.rows for group in done),
        files_before=len(plan.files),
        files_after=len(after),
        bytes_before=_bytes(plan.files.values()),
        bytes_after=_bytes(after.values()),
        snapshot_id=done[-1].snapshot_id if done else None,
        duplicates=sum(group.result.duplicates for group in done),
        written=tuple(file.file_path for group in done for file in group.result.files),
    )


@dataclass(frozen=True)
class _Group:
    result: Rewritten
    snapshot_id: int


@dataclass(frozen=True)
class _Work:
    """One hour's compaction."""

    table: Table
    plan: HourPlan
    choices: Choices
    remove: Remove

    def all_groups(self, policy: Policy) -> list[_Group]:
        """Rewrite and commit one group after the other."""
        inputs = [self.plan.files[file.path] for group in self.plan.groups for file in group]
        with workshop(self.table, inputs, policy) as shop:
            return [self._group(number, shop) for number in range(len(self.plan.groups))]

    def _group(self, number: int, shop: Workshop) -> _Group:
        chosen = self.plan.groups[number]
        hour, reached = self.plan.hour, self.choices.reached
        size = sum(file.bytes for file in chosen)
        self.choices.tell(Progress(hour, number + 1, len(self.plan.groups), len(chosen), size))
        inputs = [self.plan.files[file.path] for file in chosen]
        result = rewrite(self.table, inputs, hour, shop, self.choices.sort_by, reached)
        try:
            reached(CRASH_POINTS[-3])
            group = _Group(result, replace_files(self.table, inputs, result.files, hour))
        except UnknownOutcome:
            raise
        except Exception:  # not BaseException: an interrupt in the middle of the commit leaves its outcome unknown
            self.remove([file.file_path for file in result.files])
            raise
        reached(CRASH_POINTS[-1])
        return group


def _bytes(files: Iterable[DataFile]) -> int:
    return sum(file.file_size_in_bytes for file in files)


def _remover(table: Table) -> Remove:
    def remove(paths: Sequence[str]) -> None:
        for path in paths:
            table.io.delete(path)

    return remove
