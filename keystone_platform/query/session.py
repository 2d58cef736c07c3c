"""A DuckDB session in which every landed table is a view `namespace.table`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from urllib.parse import urlsplit

import duckdb

from keystone_platform.errors import InvalidSpec, KeystoneError, Terminal, Transient, interruptible
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.moment import NEWEST, Moment, OfSnapshot
from keystone_platform.query.views import View, identifier, literal, proven_view, view_of
from keystone_platform.settings import S3Settings, Settings

EXTENSIONS = ("httpfs", "avro", "iceberg")
"""In the order in which they have to be loaded; each is a file in a package of its own, so nothing is downloaded."""


def open_session(
    settings: Settings, tables: Collection[str] | None = None, moment: Moment = NEWEST
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB session with a view for each table, times in UTC.

    A view shows the table as of this moment for as long as the session lives: queries of one session agree with each
    other. Open another session to see newer rows. Where a table is proven, `namespace_proven.table` is its view as of
    the last proven hour.

    Args:
        settings: where catalog and object store are.
        tables: the tables to make views for; default: all.
        moment: what the views show instead of the newest rows.

    Raises:
        Transient, Terminal: catalog or object store do not answer, or refuse.
        InvalidSpec: there is no such table, or a named one has no such moment (any more).
    """
    lake = IcebergLake(settings)
    session = bare_session(settings.s3)
    make_views(session, settings.s3, views_of(lake, tables, moment))
    return session


def views_of(
    lake: IcebergLake,
    tables: Collection[str] | None,
    moment: Moment = NEWEST,
    wants_proven: Callable[[str], bool] = lambda _: True,
    known: Collection[str] | None = None,
) -> tuple[View, ...]:
    """Return the views that show the tables at that moment, and the proven ones that are wanted.

    Args:
        lake: where the tables are.
        tables: default: all; then those without that moment are left out.
        moment: what they show.
        wants_proven: whether a table's view as of its last proven hour is asked for as well.
        known: all tables there are, where the caller knows.

    Raises:
        InvalidSpec: a named table has no such moment (any more), or none of the tables has the snapshot.
    """
    known = lake.tables() if known is None else known
    found: list[View] = []
    missed: list[InvalidSpec] = []
    for name in known if tables is None else tables:
        try:
            table = lake.load(name)
            found.append(view_of(table, moment))
        except InvalidSpec as error:
            missed.append(error)
            continue
        extra = proven_view(table, known) if wants_proven(name) else None
        found += [extra] if extra else []
    needed = tables is not None and not isinstance(moment, OfSnapshot)  # a snapshot is of one of them
    if missed and (needed or not (found or moment == NEWEST)):
        raise missed[0]
    return tuple(found)


def make_views(session: duckdb.DuckDBPyConnection, s3: S3Settings, views: Iterable[View]) -> None:
    """Make the views in the session, in place of those of the same name."""
    with translated(s3):
        for view in views:
            session.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(view.schema)}")
            session.execute(view.statement)


def bare_session(s3: S3Settings, **config: str) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB session that can read Iceberg tables from that object store, without any view.

    `config` are further options of DuckDB that it takes when it starts.
    """
    own = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    session = duckdb.connect(config={**own, **config})
    for name in EXTENSIONS:
        session.execute(f"LOAD {literal(extension_file(name))}")
    session.execute("SET timezone = 'UTC'")
    session.execute(_secret(s3))
    return session


def extension_file(name: str) -> str:
    """Return the path of a DuckDB extension that was installed as a Python package, for this DuckDB's version."""
    folder = files(f"duckdb_extension_{name}") / "extensions" / f"v{duckdb.__version__}"
    return str(folder / f"{name}.duckdb_extension")


@contextmanager
def translated(s3: S3Settings) -> Iterator[None]:
    """Turn what DuckDB raises while it reads into the platform's errors."""
    try:
        with interruptible():
            yield
    except duckdb.HTTPException as error:
        raise _http_error(error, s3) from error
    except duckdb.InterruptException as error:
        message = "the query was interrupted"
        raise InvalidSpec(message) from error
    except duckdb.OutOfMemoryException as error:
        message = f"the query needs more memory than there is: {_first_line(error)}"
        raise InvalidSpec(message, mend="Read fewer rows or columns, or group by fewer values.") from error
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError, duckdb.PermissionException) as error:
        raise InvalidSpec(str(error).strip()) from error
    except duckdb.IOException as error:
        message = f"reading the table's files failed: {_first_line(error)}"
        raise Transient(message, mend=f"Is S3 at {s3.endpoint} up? See `keystone status`; or try again.") from error
    except duckdb.Error as error:
        message = f"DuckDB: {_first_line(error)}"
        raise Terminal(message) from error


def _http_error(error: duckdb.HTTPException, s3: S3Settings) -> KeystoneError:
    status = int(getattr(error, "status_code", 0) or 0)
    if status in (401, 403):
        message = f"S3 at {s3.endpoint} refuses access (access key id {s3.access_key_id})"
        return Terminal(message, mend="Check the access keys and the bucket's policy in the settings.")
    if status == 404:
        message = f"S3 at {s3.endpoint} does not have a file that the table names: {_first_line(error)}"
        mend = "If it was replaced while this ran, try again; else `keystone audit TABLE` names files that are gone."
        return Transient(message, mend=mend)
    message = f"S3 at {s3.endpoint} answered {status or 'nothing'}"
    return Transient(message, mend="See `keystone status`; or try again.")


def _secret(s3: S3Settings) -> str:
    endpoint = urlsplit(s3.endpoint)
    options = {
        "KEY_ID": literal(s3.access_key_id),
        "SECRET": literal(s3.secret_access_key),
        "REGION": literal(s3.region),
        "ENDPOINT": literal(endpoint.netloc),
        "URL_STYLE": literal("path" if s3.path_style else "vhost"),
        "USE_SSL": str(endpoint.scheme == "https").lower(),
    }
    return f"CREATE SECRET keystone (TYPE s3, {', '.join(f'{key} {value}' for key, value in options.items())})"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
