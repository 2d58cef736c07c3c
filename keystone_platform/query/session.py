"""A DuckDB session in which every landed table is a view `namespace.table`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from urllib.parse import urlsplit

import duckdb

from keystone_platform.errors import InvalidSpec, KeystoneError, Terminal, Transient
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.settings import S3Settings, Settings

EXTENSIONS = ("httpfs", "avro", "iceberg")
"""In the order in which they have to be loaded; each is a file in a package of its own, so nothing is downloaded."""


def open_session(settings: Settings, tables: Iterable[str] | None = None) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB session with a view for each table, times in UTC.

    A view shows the table as of this moment for as long as the session lives: queries of one session agree with each
    other. Open another session to see newer rows.

    Args:
        settings: where catalog and object store are.
        tables: the tables to make views for; default: all.

    Raises:
        Transient, Terminal: catalog or object store do not answer, or refuse.
        InvalidSpec: there is no such table.
    """
    lake = IcebergLake(settings)
    session = bare_session(settings.s3)
    for table in lake.tables() if tables is None else tables:
        head = lake.head(table)
        if head is None:
            continue  # dropped since it was listed
        namespace, name = table.split(".", 1)
        with translated(settings.s3):
            session.execute(f'CREATE SCHEMA IF NOT EXISTS "{namespace}"')
            session.execute(
                f'CREATE VIEW "{namespace}"."{name}" AS FROM iceberg_scan({_literal(head.metadata_location)})'
            )
    return session


def bare_session(s3: S3Settings) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB session that can read Iceberg tables from that object store, without any view."""
    session = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    for name in EXTENSIONS:
        session.execute(f"LOAD {_literal(extension_file(name))}")
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
        yield
    except duckdb.HTTPException as error:
        raise _http_error(error, s3) from error
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
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
    message = f"S3 at {s3.endpoint} answered {status or 'nothing'}"
    return Transient(message, mend="See `keystone status`; or try again.")


def _secret(s3: S3Settings) -> str:
    endpoint = urlsplit(s3.endpoint)
    options = {
        "KEY_ID": _literal(s3.access_key_id),
        "SECRET": _literal(s3.secret_access_key),
        "REGION": _literal(s3.region),
        "ENDPOINT": _literal(endpoint.netloc),
        "URL_STYLE": _literal("path" if s3.path_style else "vhost"),
        "USE_SSL": str(endpoint.scheme == "https").lower(),
    }
    return f"CREATE SECRET keystone (TYPE s3, {', '.join(f'{key} {value}' for key, value in options.items())})"


def _literal(text: str) -> str:
    """Quote text for a statement that takes no parameters."""
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
