"""Says to Flink what pyiceberg's catalog properties say: both have to read and commit to the same tables."""

from __future__ import annotations

from urllib.parse import urlsplit

from keystone_platform.errors import Terminal
from keystone_platform.plan.submission import Connection
from keystone_platform.settings import REFERENCED_SECRETS

CATALOG = "keystone"
"""Default of the property `name`. A SQL catalog keeps it in each row, so it is the same for every client."""


def catalog_options(connection: Connection) -> dict[str, str]:
    """Return the WITH options of CREATE CATALOG.

    Credentials are not among them: S3FileIO finds AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, PostgreSQL's driver
    PGPASSFILE in the environment of client, JobManager and TaskManagers, and a REST catalog's token or credential is
    read there by our own AuthManager (flink_jobs/jvm/catalog-auth): Iceberg's would find `env:NAME` too, but then the
    secret is a property of the table's FileIO, which goes into the job.

    Raises:
        Terminal: a kind of catalog that routers can't write to.
    """
    given = connection.catalog
    kind = given.get("type") or ("rest" if given.get("uri", "").startswith("http") else "sql")
    if kind not in _KINDS:
        message = f"routers can't write to a catalog of type {kind!r}"
        raise Terminal(message, mend=f"Use one of: {', '.join(_KINDS)}.")
    return {
        "type": "iceberg",
        **_KINDS[kind](given),
        "warehouse": given.get("warehouse", ""),
        "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        "s3.endpoint": connection.s3_endpoint,
        "s3.path-style-access": "true" if connection.s3_path_style else "false",
        "client.region": connection.s3_region,
    }


def catalog_name(connection: Connection) -> str:
    """Return the catalog's name, which is also the first part of a table's name in SQL."""
    return connection.catalog.get("name", CATALOG)


def _rest(given: dict[str, str]) -> dict[str, str]:
    passed_on = ("prefix", "oauth2-server-uri", "scope")
    secrets = {f"keystone.secret.{key}": _place(given[key]) for key in REFERENCED_SECRETS if key in given}
    return {
        "catalog-impl": "org.apache.iceberg.rest.RESTCatalog",
        "uri": given["uri"],
        **{key: given[key] for key in passed_on if key in given},
        **({"rest.auth.type": "io.keystone.auth.ReferencedAuth"} if secrets else {}),
        **secrets,
    }


def _place(reference: str) -> str:
    """Return the reference in a form that Iceberg does not resolve by itself, as it does with `env:NAME`."""
    return reference.replace("env:", "variable:", 1) if reference.startswith("env:") else reference


def _sql(given: dict[str, str]) -> dict[str, str]:
    uri = urlsplit(given["uri"])
    jdbc: dict[str, str] = {}
    match uri.scheme.partition("+")[0]:
        case "sqlite":
            jdbc["uri"] = f"jdbc:sqlite:{uri.path.removeprefix('/')}"
            # a commit waits for another one's lock instead of failing at once
            jdbc["jdbc.busy_timeout"] = "30000"
        case "postgresql" | "postgres":
            port = f":{uri.port}" if uri.port else ""
            jdbc["uri"] = f"jdbc:postgresql://{uri.hostname}{port}{uri.path}"
            if uri.username:
                jdbc["jdbc.user"] = uri.username
        case other:
            message = f"routers can't write to an SQL catalog in {other!r}"
            raise Terminal(message, mend="Keep it in PostgreSQL (or SQLite, on one machine).")
    return {
        "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
        **jdbc,
        "jdbc.init-catalog-tables": "false",
        # the layout that pyiceberg makes
        "jdbc.schema-version": "V1",
    }


_KINDS = {"sql": _sql, "rest": _rest}
