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
        group_bytes: compressed input of one rewrite and commit, which makes one file about as large: between two
            thirds of it and one and a half. Bounds the disk that it takes, and the time that a crash costs.
        run_bytes: compressed input of one sort, at most a file more. Bounds memory: see docs/measured.md.
        row_group_bytes: of the largest row group before compression.
        quiet: how long an hour must be over and untouched before it is due.
        settled: after so long without a change two small files are enough: no late event waits for company.
        memory_bytes: what a rewrite may use before it spills to disk; the process needs about 250 MB more.
    """

    min_files: int = 5
    small_bytes: int = SMALL_FILE_BYTES
    group_bytes: int = 256 * MEBIBYTE
    run_bytes: int = 100 * MEBIBYTE
    row_group_bytes: int = 100 * MEBIBYTE
    quiet: timedelta = timedelta(minutes=5)
    settled: timedelta = HOUR
    memory_bytes: int = 1280 * MEBIBYTE


GROWTH = 2
"""A file is merged with smaller ones that together are at least a GROWTH-th of it."""


@dataclass(frozen=True)
class InputFile:
    """A data file of the hour, as the manifests describe it."""

    path: str
    bytes: int


def mergeable(sizes: Iterable[int]) -> int:
    """Return how many of these small files, the smallest first, are worth merging: none, or two and more.

    As many as possible, so that the largest is at most GROWTH times as large as the others together. So each rewrite
    makes the file that a row is in larger by half: however late events trickle in, a row is rewritten
    log_1.5(small_bytes / size of its first file) times at most, 10 times for a file of 1 MB. Files that are left are
    each more than GROWTH times the smaller ones together, so they are few: 4 between 1 MB and 64 MB.
    """
    found = total = 0
    for number, size in enumerate(sorted(sizes), start=1):
        if number > 1 and size <= GROWTH * total:
            found = number
        total += size
    return found


def choose_files(files: Sequence[InputFile], policy: Policy) -> tuple[tuple[InputFile, ...], ...]:
    """Return groups of small files to merge (see mergeable), each of `group_bytes` or a little more, and two files.

    Files keep the given order; groups are about equally large. A file alone is left: rewriting it gains nothing.
    Whether the hour is worth it at all is `is_due`'s question.
    """
    small = sorted((file for file in files if file.bytes < policy.small_bytes), key=lambda file: file.bytes)
    chosen = set(small[: mergeable(file.bytes for file in small)])
    total = sum(file.bytes for file in chosen)
    groups = _divided([file for file in files if file in chosen], max(1, round(total / policy.group_bytes)))
    return tuple(group for group in groups if len(group) > 1)


def choose_runs(group: Sequence[InputFile], run_bytes: int) -> tuple[tuple[InputFile, ...], ...]:
    """Return the files that are sorted together: runs of at most `run_bytes` and a file, equally large, in order."""
    total = sum(file.bytes for file in group)
    return tuple(run for run in _divided(group, max(1, -(-total // run_bytes))) if run)


def _divided(files: Sequence[InputFile], count: int) -> list[tuple[InputFile, ...]]:
    """Return so many parts of about the same bytes; with large files some are empty."""
    total = sum(file.bytes for file in files)
    parts: list[list[InputFile]] = [[] for _ in range(count)]
    before = 0
    for file in files:
        parts[before * count // total].append(file)
        before += file.bytes
    return [tuple(part) for part in parts]


def is_due(total: HourTotals, now: datetime, policy: Policy) -> bool:
    """Whether an hour should be compacted now: it is over, nobody wrote to it for a while, and it has small files.

    Decided by small files, not by the newest window: an hour that gets late events becomes due again.
    """
    worth = mergeable(total.small_sizes)
    if total.hour is None or not worth or now < total.hour + HOUR + policy.quiet:
        return False
    untouched = now - total.changed_at if total.changed_at else policy.settled
    if untouched >= policy.settled:
        return True
    return untouched >= policy.quiet and worth >= policy.min_files


def due_hours(totals: Iterable[HourTotals], now: datetime, policy: Policy) -> tuple[HourTotals, ...]:
    """Return the hours that are due, most small files first."""
    due = [total for total in totals if is_due(total, now, policy)]
    return tuple(sorted(due, key=lambda total: (-total.small_files, total.hour)))
