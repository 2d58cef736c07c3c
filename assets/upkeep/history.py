"""Which snapshots of a table may expire. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

MAIN = "main"

KEPT_JOBS = 10
"""Of so many Flink jobs, those that committed last, the newest commit stays: a router's next start is measured by it
(`control/recovery.py`), however long the router was down."""


@dataclass(frozen=True)
class PastSnapshot:
    """A snapshot as the table's metadata tells of it.

    Attributes:
        parent: None for the first one, and where the parent has expired.
        job: the Flink job that committed it; None for any other writer.
    """

    id: int
    parent: int | None
    committed: datetime
    job: str | None = None


@dataclass(frozen=True)
class Keeping:
    """How much history stays: whatever is younger than `age`, and `least` snapshots at any age."""

    age: timedelta
    least: int


@dataclass(frozen=True)
class Ref:
    """A branch or a tag; `keeping` where the branch has settings of its own."""

    name: str
    snapshot: int
    is_branch: bool
    keeping: Keeping | None = None


def expired(snapshots: Sequence[PastSnapshot], refs: Sequence[Ref], keeping: Keeping, now: datetime) -> tuple[int, ...]:
    """Return the ids of the snapshots that may go, oldest first.

    What stays:
    - what a branch or a tag names, whatever its age;
    - of `main`, the newest ones without a gap, as far as `keeping` says, and at least back to the newest commit of a
      Flink job. Iceberg's Flink sink finds out what it has committed by walking from the head through the parents
      (org.apache.iceberg.flink.sink.SinkUtil) and takes a gap for the beginning: it would commit the same files twice;
    - of another branch, what `main` does not have, or as much as the branch's own settings say;
    - the newest commit of each of the last KEPT_JOBS Flink jobs;
    - what belongs to no branch, as long as it is younger than the age.
    """
    known = {snapshot.id: snapshot for snapshot in snapshots}
    kept = {ref.snapshot for ref in refs} | _newest_of_jobs(snapshots)
    of_main: set[int] = set()
    on_branches: set[int] = set()
    for ref in sorted((ref for ref in refs if ref.is_branch), key=lambda ref: ref.name != MAIN):
        line = list(_line(known, ref.snapshot))
        on_branches |= {snapshot.id for snapshot in line}
        if ref.name == MAIN:
            of_main = {snapshot.id for snapshot in line}
            kept |= _newest(line, keeping, now, back_to_flink=True)
        elif ref.keeping:
            kept |= _newest(line, ref.keeping, now)
        else:
            kept |= {snapshot.id for snapshot in line} - of_main
    kept |= {each.id for each in snapshots if each.id not in on_branches and now - each.committed < keeping.age}
    going = sorted((each for each in snapshots if each.id not in kept), key=lambda each: each.committed)
    return tuple(each.id for each in going)


def _line(known: Mapping[int, PastSnapshot], head: int) -> Iterator[PastSnapshot]:
    """Yield a snapshot and its parents, newest first, as far as they are known."""
    at = known.get(head)
    while at:
        yield at
        at = known.get(at.parent) if at.parent is not None else None


def _newest(line: Sequence[PastSnapshot], keeping: Keeping, now: datetime, *, back_to_flink: bool = False) -> set[int]:
    flink = next((number for number, each in enumerate(line) if each.job), -1) if back_to_flink else -1
    wanted = max(keeping.least, flink + 1)
    young = next((number for number, each in enumerate(line) if now - each.committed >= keeping.age), len(line))
    return {each.id for each in line[: max(wanted, young)]}


def _newest_of_jobs(snapshots: Sequence[PastSnapshot]) -> set[int]:
    newest: dict[str, PastSnapshot] = {}
    for each in snapshots:
        if each.job and (each.job not in newest or newest[each.job].committed <= each.committed):
            newest[each.job] = each
    last = sorted(newest.values(), key=lambda each: each.committed)[-KEPT_JOBS:]
    return {each.id for each in last}
