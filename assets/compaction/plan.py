"""What a compaction would rewrite, told before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from assets.compaction.select import InputFile, Policy, choose_files, mergeable
from keystone_platform.errors import Terminal
from keystone_platform.gateways.iceberg_files import HourTotals, live_entries
from keystone_platform.gateways.lake import IcebergLake


@dataclass(frozen=True)
class HourPlan:
    """What a compaction of one hour would do.

    Attributes:
        files: of the hour, by path, in the order of their commits.
        groups: files that are merged into one, each in a commit of its own; empty when nothing is worth rewriting.
    """

    table: str
    hour: datetime | None
    files: dict[str, DataFile]
    groups: tuple[tuple[InputFile, ...], ...]

    @property
    def rewritten_files(self) -> int:
        """How many files would be replaced."""
        return sum(map(len, self.groups))

    @property
    def rewritten_bytes(self) -> int:
        """How many bytes would be read."""
        return sum(file.bytes for group in self.groups for file in group)


def plan_hour(table: Table, hour: datetime | None, policy: Policy) -> HourPlan:
    """Return what a compaction of the hour would rewrite now; reads manifests only.

    Raises:
        Terminal: the table has delete files.
    """
    _refuse_delete_files(table)
    files = files_of(table, hour)
    inputs = [InputFile(file.file_path, file.file_size_in_bytes) for file in files.values()]
    return HourPlan(".".join(table.name()), hour, files, choose_files(inputs, policy))


def plan_table(lake: IcebergLake, table: str, policy: Policy) -> tuple[HourPlan, ...]:
    """Return the plans of all hours in which something is worth rewriting, in order of hours."""
    loaded = lake.load(table)
    with lake.translated():
        plans = tuple(plan_hour(loaded, hour, policy) for hour in worthwhile(lake.hours(table)))
    return tuple(plan for plan in plans if plan.groups)


def worthwhile(totals: Iterable[HourTotals]) -> Sequence[datetime | None]:
    """Return the hours with small files that are worth merging, closed or not."""
    return [total.hour for total in totals if mergeable(total.small_sizes)]


def files_of(table: Table, hour: datetime | None) -> dict[str, DataFile]:
    """Return the hour's files by path, in the order of their commits."""
    entries = sorted(live_entries(table, {hour}), key=lambda entry: entry.sequence_number or 0)
    return {entry.data_file.file_path: entry.data_file for entry in entries}


def _refuse_delete_files(table: Table) -> None:
    snapshot = table.current_snapshot()
    deletes = (
        snapshot.summary.additional_properties.get("total-delete-files", "0") if snapshot and snapshot.summary else "0"
    )
    if deletes != "0":
        message = f"{'.'.join(table.name())} has delete files, which this compaction would bring to life again"
        raise Terminal(message, mend="Let the engine that wrote them rewrite the table.")
