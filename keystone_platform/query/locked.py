"""A session for somebody else's SQL: it reads the granted tables, within limits of time and memory, and nothing else.

Two locks. The statement is checked against an allow-list over DuckDB's parse tree, because DuckDB's own settings leave
open what happens inside an allowed folder (COPY into it, `s3://…/x?s3_endpoint=elsewhere`) and in the catalog (DROP,
CREATE SECRET). And DuckDB itself is told to open no file outside the granted tables' folders and to change no setting,
in case a statement is understood otherwise than it was checked. What neither does: keep a query from taking CPU that
others of the process want, and, without `bound_process`, bound what one huge value takes. Run it in a process of its
own, with a key that can only read.
"""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import psutil

from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.answer import FETCH_ROWS, Answer, Row
from keystone_platform.query.moment import NEWEST, Moment
from keystone_platform.query.session import bare_session, make_views, translated, views_of
from keystone_platform.query.statement import check_statement
from keystone_platform.query.views import View, literal
from keystone_platform.settings import S3Settings, Settings

REMOTE_ONLY = "LocalFileSystem,HTTPFileSystem,HuggingFaceFileSystem"
"""DuckDB's file systems that tables in an object store don't need."""

PROCESS_BYTES = 3 * 1024**3
"""What a process that is bound may take on top of what it has: twice the memory of a session and its threads."""


@dataclass(frozen=True)
class Limits:
    """What one query may take.

    Attributes:
        timeout_s: until its last row is fetched; then it is interrupted.
        memory: of DuckDB; nothing is spilled to disk.
        threads: of DuckDB.
        rows: of an answer; one with more is refused rather than cut.
    """

    timeout_s: float = 60.0
    memory: str = "1GB"
    threads: int = 2
    rows: int = 100_000


class LockedSession:
    """See `locked_session`. For one query at a time; close it when done."""

    def __init__(
        self, session: duckdb.DuckDBPyConnection, s3: S3Settings, tables: Collection[str], limits: Limits
    ) -> None:
        self._session = session
        self._s3 = s3
        self._tables = tuple(sorted(tables))
        self._limits = limits

    @property
    def tables(self) -> tuple[str, ...]:
        """The views that can be read, `schema.name`, proven ones included."""
        return self._tables

    def query(self, sql: str) -> Answer:
        """Run one query and return all of its rows.

        Raises:
            InvalidSpec: the statement is wrong, or none that is run here, or takes more than the limits.
            Transient, Terminal: the object store does not answer, or refuses.
        """
        check_statement(self._session, sql, self._tables)
        with self._within_limits() as is_over, translated(self._s3):
            self._session.execute(sql)
            columns = tuple(column[0] for column in self._session.description or ())
            rows: list[Row] = []
            while not is_over() and (batch := self._session.fetchmany(FETCH_ROWS)):
                rows += batch
                if len(rows) > self._limits.rows:
                    message = f"the answer has more than {self._limits.rows:,} rows"
                    raise InvalidSpec(message, mend="Aggregate, or add LIMIT.")
            if is_over():  # between two batches there was nothing to interrupt
                raise self._too_long()
        return Answer(columns, [rows])

    def close(self) -> None:
        """Give back what the session holds."""
        self._session.close()

    @contextmanager
    def _within_limits(self) -> Iterator[Callable[[], bool]]:
        over = threading.Event()

        def end() -> None:
            over.set()
            self._session.interrupt()

        timer = threading.Timer(self._limits.timeout_s, end)
        timer.daemon = True
        timer.start()
        try:
            yield over.is_set
        except MemoryError as error:
            raise self._too_much() from error
        except InvalidSpec as error:
            match error.__cause__:
                case duckdb.InterruptException():
                    raise self._too_long() from error
                case duckdb.OutOfMemoryException():
                    raise self._too_much() from error
            raise
        finally:
            timer.cancel()
            timer.join()  # else its thread may be the last to hold the session, while the interpreter ends: an abort

    def _too_long(self) -> InvalidSpec:
        message = f"the query did not end within {self._limits.timeout_s:g} s"
        return InvalidSpec(message, mend="A condition on _time makes it read less.")

    def _too_much(self) -> InvalidSpec:
        message = f"the query needs more than {self._limits.memory} of memory"
        return InvalidSpec(message, mend="Read fewer rows or columns, or group by fewer values.")


def bound_process(more: int = PROCESS_BYTES) -> None:
    """Let this process take so many bytes beyond what it has; for one that runs locked sessions and nothing else.

    DuckDB's own limit does not count what it computes values in: `len(range(100000000))` took 1.2 GB under a limit of
    200 MB. Beyond this one it gets no memory, and the query fails.
    """
    size = psutil.Process().memory_info().vms + more
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.getrlimit(resource.RLIMIT_AS)[1]))


def locked_session(
    settings: Settings,
    tables: Collection[str] | None = None,
    moment: Moment = NEWEST,
    limits: Limits | None = None,
) -> LockedSession:
    """Return a session that reads these tables (default: all), as they were at that moment, and nothing else.

    Blocks for a few requests to catalog and object store for each table.

    Raises:
        Transient, Terminal: catalog or object store do not answer, or refuse.
        InvalidSpec: there is no such table, or it has no such moment (any more).
    """
    limits = limits or Limits()
    views = views_of(IcebergLake(settings), tables, moment)
    session = bare_session(settings.s3, allow_persistent_secrets="false", python_enable_replacements="false")
    make_views(session, settings.s3, views)
    with translated(settings.s3):
        for statement in _locks(views, limits):
            session.execute(statement)
    return LockedSession(session, settings.s3, [f"{view.schema}.{view.name}" for view in views], limits)


def _locks(views: Collection[View], limits: Limits) -> Iterator[str]:
    """Yield what takes from DuckDB all that a query of the views does not need; the last one locks the settings."""
    folders = sorted({folder.rstrip("/") + "/" for view in views for folder in view.folders})
    yield "SET temp_directory = ''"  # else DuckDB lets queries read and write there
    yield f"SET allowed_directories = [{', '.join(map(literal, folders))}]"
    yield "SET enable_external_access = false"
    if not any(_is_local(folder) for folder in folders):
        yield f"SET disabled_filesystems = {literal(REMOTE_ONLY)}"
    yield "SET allow_community_extensions = false"
    yield f"SET memory_limit = {literal(limits.memory)}"
    yield f"SET threads = {limits.threads}"
    yield "SET lock_configuration = true"


def _is_local(folder: str) -> bool:
    return folder.startswith(("/", "file:"))
