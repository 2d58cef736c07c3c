"""Further tables in the ledger's database: what is kept beside the deployments, by whoever needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from keystone_platform.errors import Transient
from keystone_platform.gateways.database_errors import code_of

_LOCK_TIMEOUT_S = 10


class LedgerTables:
    """Makes the tables when they are first needed and missing.

    Args:
        url: of the database, as SQLAlchemy takes it.
        tables: what belongs together.
        kept: what they hold, in words for a message: `proofs`.
        create: whether a SQLite file that is not there is made; a ledger must not come about by these.
    """

    def __init__(self, url: str, tables: sa.MetaData, kept: str, *, create: bool) -> None:
        file = sa.make_url(url).database if url.startswith("sqlite") else None
        self._missing = Path(file) if file and not create else None
        options = {"timeout": _LOCK_TIMEOUT_S} if url.startswith("sqlite") else {}
        self._engine = sa.create_engine(url, connect_args=options, pool_pre_ping=True)
        self._tables = tables
        self._kept = kept
        self._is_ready = False

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Begin one, commit it at the end. Waits for another one's for at most ten seconds.

        Raises:
            Transient: the database does not answer, or its file is not there.
        """
        if not self._is_ready:
            self._make_ready()
        try:
            with self._engine.begin() as connection:
                yield connection
        except OperationalError as error:
            raise self._silent(error) from error

    def _make_ready(self) -> None:
        if self._missing and not self._missing.is_file():
            message = f"the ledger is gone: there is no file {self._missing}"
            mend = f"It also keeps the {self._kept}. Put it back, or `keystone up` makes a new one."
            raise Transient(message, mend=mend)
        with suppress(OperationalError):  # another process made the tables in the same moment
            self._tables.create_all(self._engine)
        try:
            self._tables.create_all(self._engine)
        except OperationalError as error:
            raise self._silent(error) from error
        self._is_ready = True

    def _silent(self, error: OperationalError) -> Transient:
        where = self._engine.url.render_as_string(hide_password=True)
        message = f"the database of {self._kept} at {where} does not answer{code_of(error)}"
        return Transient(message, mend="It is the ledger's: check that it runs and is writable.")
