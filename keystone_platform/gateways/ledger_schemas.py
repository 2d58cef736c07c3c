"""Published versions of streams' schemas, in the ledger's database."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import sqlalchemy as sa

from keystone_platform.schemas.compatibility import SchemaVersion
from keystone_platform.schemas.document import Contract
from keystone_platform.spec.models import Compatibility

METADATA = sa.MetaData()

_SCHEMAS = sa.Table(
    "schemas",
    METADATA,
    sa.Column("stream", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("compatibility", sa.String(20), nullable=False),
    sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
)


def versions(connection: sa.Connection, stream: str | None = None) -> tuple[SchemaVersion, ...]:
    """Return the published versions of the stream, or of all, oldest first."""
    query = sa.select(_SCHEMAS).order_by(_SCHEMAS.c.stream, _SCHEMAS.c.version)
    if stream is not None:
        query = query.where(_SCHEMAS.c.stream == stream)
    return tuple(_version(row) for row in connection.execute(query))


def publish(
    connection: sa.Connection, contract: Contract, compatibility: Compatibility, now: datetime
) -> SchemaVersion:
    """Return the newest version if that is its content, else a new one.

    Raises sqlalchemy's IntegrityError when another publisher was first: publish again.
    """
    known = versions(connection, contract.stream)
    newest = known[-1] if known else None
    if newest and newest.digest == contract.digest:
        return newest
    number = newest.version + 1 if newest else 1
    made = SchemaVersion(contract.stream, number, contract.digest, contract.canonical(), compatibility, now)
    connection.execute(_SCHEMAS.insert().values(**asdict(made)))
    return made


def _version(row: sa.Row[tuple[object, ...]]) -> SchemaVersion:
    values = dict(row._mapping)
    at = values["published_at"]
    # SQLite drops the zone; all is written in UTC
    return SchemaVersion(**{**values, "published_at": at if at.tzinfo else at.replace(tzinfo=UTC)})
