"""What upkeep is asked to do, and how young a thing may be that it removes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from assets.upkeep.report import TASKS, Task
from keystone_platform.errors import InvalidSpec

SAFE_AGE = timedelta(days=3)
"""A file that nothing refers to may belong to a commit that is about to happen: younger than this it stays. A run of a
compaction or a checkpoint of a router takes minutes; the rest is for clocks and for people."""

FLOOR = timedelta(hours=1)
"""No age below this is taken without being told twice."""


@dataclass(frozen=True)
class Order:
    """What to do.

    Attributes:
        tasks: which tasks; done in the order of TASKS.
        safe_age: orphans and uploads younger than this stay.
        snapshot_age: instead of each table's `history.expire.max-snapshot-age-ms`.
        dry_run: only tell.
        worth: snapshots wait until so large a share of a table's history may go. Each expiry reads all manifest lists
            that stay, so one that removes a tenth of what it reads costs ten requests a snapshot.
    """

    tasks: tuple[Task, ...] = TASKS
    safe_age: timedelta = SAFE_AGE
    snapshot_age: timedelta | None = None
    dry_run: bool = False
    worth: float = 0.0

    def wants(self, task: Task) -> bool:
        """Whether the task was asked for."""
        return task in self.tasks


def order(
    tasks: Collection[Task] = (),
    older_than: timedelta | None = None,
    *,
    dry_run: bool = False,
    below_floor: bool = False,
    worth: float = 0.0,
) -> Order:
    """Return the order for these tasks, all without any.

    Raises:
        InvalidSpec: `older_than` is below the FLOOR without `below_floor`, or says nothing about the tasks.
    """
    chosen = tuple(task for task in TASKS if not tasks or task in tasks)
    if older_than is None:
        return Order(chosen, dry_run=dry_run, worth=worth)
    if not tasks or "retention" in tasks:
        message = "an age was given, and tasks that it is not for"
        raise InvalidSpec(
            message, mend="Name the tasks: --only snapshots, orphans, uploads. Retention goes by keep_days."
        )
    if older_than < FLOOR and not below_floor:
        message = f"{older_than} is younger than what somebody may be writing or reading"
        raise InvalidSpec(message, mend="Take an hour at least; --below-floor if nobody uses the table.")
    return Order(chosen, older_than, older_than, dry_run, worth)
