"""What a database calls an error of its own: short enough for a message, and without names, addresses and secrets."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError


def code_of(error: DBAPIError) -> str:
    """Return SQLite's extended result code or PostgreSQL's SQLSTATE as ` (CODE)`, empty where there is none.

    For example ` (SQLITE_BUSY)` of a lock that was not given in time, ` (SQLITE_IOERR_SHORT_READ)` of a file that
    somebody cut or replaced.
    """
    code = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None)
    return f" ({code})" if code else ""
