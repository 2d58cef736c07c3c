"""The proofs of hours: written by whoever proves, read by checks, sensors and the watermark."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import sqlalchemy as sa

from keystone_platform.gateways.ledger_tables import LedgerTables
from keystone_platform.plan.hour_proof import HourProof, Standing, Verdict


class Proofs(Protocol):
    """Every call is one transaction; it blocks for at most the database's lock time-out and then raises Transient."""

    def record(self, proof: HourProof) -> None:
        """Keep the proof; the same one may come twice. Of one hour the newest KEPT are kept."""
        ...

    def newest(self, table: str, hours: Collection[datetime]) -> Mapping[datetime, HourProof]:
        """Return the newest proof of each of these hours that has one."""
        ...

    def history(self, table: str, hour: datetime) -> tuple[HourProof, ...]:
        """Return the hour's proofs that are kept, newest first."""
        ...

    def verdicts(self, table: str) -> Mapping[datetime, Verdict]:
        """Return the short form of the newest proof of each hour of the table, in one query."""
        ...


KEPT = 20
"""Proofs of one hour."""

_METADATA = sa.MetaData()

_PROOFS = sa.Table(
    "proofs",
    _METADATA,
    sa.Column("table_name", sa.String(200), primary_key=True),
    sa.Column("hour", sa.DateTime(timezone=True), primary_key=True),
    sa.Column("made_at", sa.DateTime(timezone=True), primary_key=True),
    sa.Column("standing", sa.String(20), nullable=False),
    sa.Column("row_count", sa.BigInteger, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)

_HOURS_PER_QUERY = 500


class SqlProofs:
    """Proofs in a SQL database, the ledger's; makes the table when it is missing.

    Args:
        url: of the database, as SQLAlchemy takes it.
        create: whether a SQLite file that is not there is made; a ledger must not come about by a proof.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self._tables = LedgerTables(url, _METADATA, "proofs", create=create)

    def record(self, proof: HourProof) -> None:
        one_hour = (_PROOFS.c.table_name == proof.table) & (_PROOFS.c.hour == proof.hour)
        verdict = proof.verdict
        values = {
            "table_name": proof.table,
            "hour": proof.hour,
            "made_at": proof.made_at,
            "standing": verdict.standing.value,
            "row_count": verdict.rows,
            "sequence": verdict.sequence,
            "document": proof.model_dump_json(),
        }
        kept = sa.select(_PROOFS.c.made_at).where(one_hour).order_by(_PROOFS.c.made_at.desc()).limit(KEPT)
        with self._tables.transaction() as connection:
            connection.execute(_PROOFS.delete().where(one_hour & (_PROOFS.c.made_at == proof.made_at)))
            connection.execute(_PROOFS.insert().values(values))
            oldest = min(connection.execute(kept).scalars())
            connection.execute(_PROOFS.delete().where(one_hour & (_PROOFS.c.made_at < oldest)))

    def newest(self, table: str, hours: Collection[datetime]) -> Mapping[datetime, HourProof]:
        wanted = sorted(hours)
        found: dict[datetime, HourProof] = {}
        with self._tables.transaction() as connection:
            for start in range(0, len(wanted), _HOURS_PER_QUERY):
                some = _PROOFS.c.hour.in_(wanted[start : start + _HOURS_PER_QUERY])
                for text in connection.execute(_newest(table, _PROOFS.c.document).where(some)).scalars():
                    proof = HourProof.model_validate_json(text)
                    found[proof.hour] = proof
        return found

    def history(self, table: str, hour: datetime) -> tuple[HourProof, ...]:
        of_hour = (_PROOFS.c.table_name == table) & (_PROOFS.c.hour == hour)
        query = sa.select(_PROOFS.c.document).where(of_hour).order_by(_PROOFS.c.made_at.desc())
        with self._tables.transaction() as connection:
            return tuple(map(HourProof.model_validate_json, connection.execute(query).scalars()))

    def verdicts(self, table: str) -> Mapping[datetime, Verdict]:
        columns = (_PROOFS.c.hour, _PROOFS.c.made_at, _PROOFS.c.standing, _PROOFS.c.row_count, _PROOFS.c.sequence)
        with self._tables.transaction() as connection:
            rows = connection.execute(_newest(table, *columns)).all()
        return {
            _utc(hour): Verdict(
                hour=_utc(hour), made_at=_utc(made_at), standing=Standing(standing), rows=count, sequence=sequence
            )
            for hour, made_at, standing, count, sequence in rows
        }


def _newest(table: str, *columns: sa.Column[Any]) -> sa.Select[Any]:
    newest = (
        sa.select(_PROOFS.c.hour, sa.func.max(_PROOFS.c.made_at).label("made_at"))
        .where(_PROOFS.c.table_name == table)
        .group_by(_PROOFS.c.hour)
        .subquery()
    )
    return (
        sa.select(*columns)
        .join(newest, (_PROOFS.c.hour == newest.c.hour) & (_PROOFS.c.made_at == newest.c.made_at))
        .where(_PROOFS.c.table_name == table)
    )


def _utc(time: datetime) -> datetime:
    """SQLite drops the zone; all is written in UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
