"""What upkeep did, or in a dry run would do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal, get_args

from keystone_platform.errors import KeystoneError

Task = Literal["retention", "snapshots", "orphans", "uploads"]
"""What can be asked for; done in this order."""

TASKS: tuple[Task, ...] = get_args(Task)

Thing = Literal[
    "rows",
    "hours",
    "snapshots",
    "data files",
    "metadata files",
    "orphan data files",
    "orphan metadata files",
    "uploads",
]


@dataclass(frozen=True)
class Removal:
    """Things of one sort that went, or would go.

    Attributes:
        bytes: their size; 0 where nobody tells.
        oldest: when the oldest of them was committed, written or begun; of hours and rows, the first hour.
    """

    thing: Thing
    count: int
    bytes: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True)
class TableReport:
    """The upkeep of one table.

    Attributes:
        removed: only what there was any of.
        notes: what people should know: what was left alone, and why.
        error: why the upkeep of the table ended early.
        dry_run: nothing was touched.
    """

    table: str
    removed: tuple[Removal, ...] = ()
    notes: tuple[str, ...] = ()
    error: KeystoneError | None = None
    dry_run: bool = False

    def count(self, thing: Thing) -> int:
        """Return how many of these went."""
        return sum(each.count for each in self.removed if each.thing == thing)

    def as_json(self) -> dict[str, object]:
        """Return the report as JSON values; times in ISO 8601."""
        things = [{**asdict(each), "oldest": each.oldest.isoformat() if each.oldest else None} for each in self.removed]
        told = self.error.as_json() if self.error else None
        return {"table": self.table, "dry_run": self.dry_run, "removed": things, "notes": self.notes, "error": told}

    @property
    def freed(self) -> int:
        """Bytes of the objects that were deleted: rows that were dropped free theirs when their snapshots expire."""
        return sum(each.bytes for each in self.removed if each.thing not in ("rows", "hours"))


def removal(thing: Thing, sizes: Iterable[tuple[datetime | None, int]]) -> Removal:
    """Sum things up: when each is from, and its bytes."""
    told = list(sizes)
    oldest = min((time for time, _ in told if time), default=None)
    return Removal(thing, len(told), sum(size for _, size in told), oldest)


def merged(removals: Iterable[Removal]) -> tuple[Removal, ...]:
    """Return one removal of each sort that there is any of, in the order of their first."""
    sums: dict[Thing, Removal] = {}
    for each in removals:
        before = sums.get(each.thing, Removal(each.thing, 0))
        oldest = min((time for time in (before.oldest, each.oldest) if time), default=None)
        sums[each.thing] = Removal(each.thing, before.count + each.count, before.bytes + each.bytes, oldest)
    return tuple(each for each in sums.values() if each.count)
