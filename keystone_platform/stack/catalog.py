"""Makes the embedded catalog's database, which Flink's JdbcCatalog and pyiceberg then share."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from keystone_platform.settings import Settings
from keystone_platform.stack.home import Home


def prepare_catalog(home: Home, settings: Settings) -> None:
    """Create the catalog's tables and let readers and the one writer go on beside each other (WAL). Idempotent."""
    from pyiceberg.catalog.sql import SqlCatalog  # takes 1 s to import, which only `up` pays

    catalog = SqlCatalog("keystone", **{**settings.catalog, "init_catalog_tables": "true"})
    catalog.close()
    home.catalog.chmod(0o600)
    for path in (home.catalog, home.ledger):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
