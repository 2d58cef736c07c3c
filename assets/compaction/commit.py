"""Replaces exactly the named files by others in one commit, so that rows appended meanwhile survive.

A commit is a compare-and-set on the table's metadata, and it demands that every file to be replaced is still there: of
any number of attempts, even ones whose outcome never came back, at most one takes effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, Transaction

from keystone_platform.errors import Conflict, Terminal, Transient, UnknownOutcome
from keystone_platform.gateways.iceberg_files import COMPACTION_MARK, live_entries

ATTEMPTS = 3
"""Each is pyiceberg's own series of retries against concurrent appends (`commit.retry.*` of the table)."""


def replace_files(table: Table, old: Sequence[DataFile], new: Sequence[DataFile], hour: datetime | None) -> int:
    """Commit `new` in the place of `old` and return the id of the snapshot that did it.

    Guarantees: all or nothing; every file of `old` and no other leaves the table; the number of rows stays.

    Raises:
        Terminal: the numbers of rows differ; nothing was committed.
        Conflict: a file of `old` has left the table; nothing was committed, and nothing will be.
        Transient: the table kept changing; nothing was committed.
        UnknownOutcome: the catalog did not say; `new` must not be deleted.
        Others, from the catalog or the object store: nothing was committed.
    """
    _check_rows(old, new)
    return _replace(table, old, new, hour)


def restore_files(table: Table, wrong: Sequence[DataFile], right: Sequence[DataFile], hour: datetime) -> int:
    """Undo a replacement: commit `right` in the place of `wrong`, however many rows each has; see replace_files."""
    return _replace(table, wrong, right, hour)


def _replace(table: Table, old: Sequence[DataFile], new: Sequence[DataFile], hour: datetime | None) -> int:
    commit = _Replacement(table, old, new, hour)
    for _ in range(ATTEMPTS):
        if (snapshot_id := commit.attempt()) is not None:
            return snapshot_id
    return commit.conclude()


class _Replacement:
    """One replacement, and which of its attempts nobody knows the outcome of."""

    def __init__(self, table: Table, old: Sequence[DataFile], new: Sequence[DataFile], hour: datetime | None) -> None:
        self._table = table
        self._old = old
        self._new = new
        self._hour = hour
        self._unsure: list[int] = []

    def attempt(self) -> int | None:
        """Look at the table first, then commit; None when the attempt failed and another one may not."""
        if (landed := self._look()) is not None:
            return landed
        try:
            transaction, snapshot_id = self._staged()
        except ValidationException:  # a file left the table after the look; the next look tells
            return None
        try:
            transaction.commit_transaction()
        except (CommitFailedException, ValidationException):
            return None
        except Exception:  # whatever a catalog's driver raises here, the commit may have gone through
            self._unsure.append(snapshot_id)
            return None
        return snapshot_id

    def conclude(self) -> int:
        """Return the snapshot if one of the attempts landed after all, else raise what is known."""
        if (landed := self._look()) is not None:
            return landed
        if self._unsure:
            raise self._unknown()
        message = f"the table kept changing while {self} was being committed"
        raise Transient(message, mend="Compact the hour again.")

    def _look(self) -> int | None:
        """Return the snapshot that an earlier attempt made; raise Conflict when no attempt can succeed any more."""
        with self._nothing_forgotten():
            self._table.refresh()
            if landed := [number for number in self._unsure if self._table.snapshot_by_id(number)]:
                return landed[0]
            present = {entry.data_file.file_path for entry in live_entries(self._table, {self._hour})}
        if all(file.file_path in present for file in self._old):
            return None
        if self._unsure:  # it may have landed, been compacted again and expired
            raise self._unknown()
        message = f"another writer replaced files of {self}"
        raise Conflict(message, mend="Compact the hour again.")

    def _staged(self) -> tuple[Transaction, int]:
        transaction = self._table.transaction()
        mark = {COMPACTION_MARK: self._hour.isoformat() if self._hour else "none"}
        producer = transaction.update_snapshot(snapshot_properties=mark).overwrite()
        with self._nothing_forgotten(), producer:
            for file in self._old:
                producer.delete_data_file(file)
            for file in self._new:
                producer.append_data_file(file)
        return transaction, producer.snapshot_id

    @contextmanager
    def _nothing_forgotten(self) -> Iterator[None]:
        """Let no other error hide that an earlier attempt may have landed: a caller would delete its files."""
        try:
            yield
        except Exception as error:
            if self._unsure and not isinstance(error, ValidationException):
                raise self._unknown() from error
            raise

    def _unknown(self) -> UnknownOutcome:
        message = f"the commit of {self} may have happened"
        return UnknownOutcome(message, mend="Its new files stay; compact the hour again.")

    def __str__(self) -> str:
        return f"hour {self._hour} of {'.'.join(self._table.name())}"


def _check_rows(old: Sequence[DataFile], new: Sequence[DataFile]) -> None:
    before, after = (sum(file.record_count for file in files) for files in (old, new))
    if before != after:
        message = f"compaction read {before} rows and wrote {after}: refused, nothing was changed"
        raise Terminal(message, mend="Keep the table as it is and report this.")
