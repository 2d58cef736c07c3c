"""Makes the catalog ready that Flink and pyiceberg share: the stack's own SQLite file, or what was asked for."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from keystone_platform.settings import Settings
from keystone_platform.stack.home import Home


def prepare_catalog(home: Home, settings: Settings) -> None:
    """Make the tables of a SQL catalog, and let readers and the one writer of a SQLite file go on beside each other.

    Idempotent.

    Raises:
        Transient, Terminal: the catalog does not answer, or refuses.
    """
    from keystone_platform.gateways.lake import IcebergLake  # takes 1 s to import, which only `up` pays

    lake = IcebergLake(settings)
    lake.tables()  # a SQL catalog makes its own tables when it is first opened
    lake.catalog.close()
    own = settings.catalog["uri"] == f"sqlite:///{home.catalog}"
    if own:
        home.catalog.chmod(0o600)
    for path in (home.catalog, home.ledger) if own else (home.ledger,):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
