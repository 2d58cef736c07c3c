"""Which files of an hour are worth rewriting together, and which hours are due. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from keystone_platform.gateways.iceberg_files import SMALL_FILE_BYTES, HourTotals

HOUR = timedelta(hours=1)
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Policy:
    """When and how much to compact.

    Attributes:
        min_files: small files that make an hour due.
        small_bytes: a file below this is small.
        target_bytes: size of the files written.
        group_bytes: compressed input of one rewrite and commit; bounds disk and the time that is lost by a crash.
        quiet: how long an hour must be over and untouched before it is due.
        settled: after so long without a change two small files are enough: no late event waits for company.
        memory_bytes: what the sort may use before it spills to disk.
    """

    min_files: int = 5
    small_bytes: int = SMALL_FILE_BYTES
    target_bytes: int = 256 * MEBIBYTE
    group_bytes: int = 2048 * MEBIBYTE
    quiet: timedelta = timedelta(minutes=5)
    settled: timedelta = HOUR
    memory_bytes: int = 1024 * MEBIBYTE


@dataclass(frozen=True)
class InputFile:
    """A data file of the hour, as the manifests describe it."""

    path: str
    bytes: int


def choose_files(files: Sequence[InputFile], policy: Policy) -> tuple[tuple[InputFile, ...], ...]:
    """Return groups of small files to merge, in the given order, each of at most `group_bytes` and two files or more.

    A file alone is left: rewriting it gains nothing. Whether the hour is worth it at all is `is_due`'s question.
    """
    groups: list[list[InputFile]] = []
    filled = 0
    for file in files:
        if file.bytes >= policy.small_bytes:
            continue
        if not groups or filled + file.bytes > policy.group_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(file)
        filled += file.bytes
    return tuple(tuple(group) for group in groups if len(group) > 1)


def is_due(total: HourTotals, now: datetime, policy: Policy) -> bool:
    """Whether an hour should be compacted now: it is over, nobody wrote to it for a while, and it has small files.

    Decided by small files, not by the newest window: an hour that gets late events becomes due again.
    """
    if total.hour is None or total.small_files < 2 or now < total.hour + HOUR + policy.quiet:
        return False
    untouched = now - total.changed_at if total.changed_at else policy.settled
    if untouched >= policy.settled:
        return True
    return untouched >= policy.quiet and total.small_files >= policy.min_files


def due_hours(totals: Iterable[HourTotals], now: datetime, policy: Policy) -> tuple[HourTotals, ...]:
    """Return the hours that are due, most small files first."""
    due = [total for total in totals if is_due(total, now, policy)]
    return tuple(sorted(due, key=lambda total: (-total.small_files, total.hour)))
