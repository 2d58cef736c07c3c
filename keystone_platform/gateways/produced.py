"""What producers counted, kept in the ledger's database: their audit events come from Kafka, each is taken once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa

from keystone_platform.gateways.ledger_tables import LedgerTables
from keystone_platform.plan.produced import AuditEvent, ClusterUse, Produced, day_of, hour_number, merged

SILENT_AFTER = timedelta(minutes=5)
"""A producer that did not end and was not heard of for so long is gone: it writes every minute."""

KEPT = timedelta(days=35)
"""How long counts are kept, by the hour that they are of."""

Uses = Mapping[str, tuple[ClusterUse, ...]]
"""The clusters in use, by stream; in order of their names."""

Days = Mapping[tuple[str, date], Produced]
"""Counts by stream and day (UTC)."""


class ProducedStore(Protocol):
    """Every call is one transaction; it blocks for at most the database's lock time-out and then raises Transient."""

    def positions(self, topic: str) -> Mapping[int, int]:
        """Return, by partition, up to where the topic's audit events were taken."""
        ...

    def record(self, topic: str, events: Sequence[AuditEvent], positions: Mapping[int, int], now: datetime) -> None:
        """Take audit events and note up to where the topic is taken. One that comes again changes nothing."""
        ...

    def hour(self, stream: str, hour: datetime, now: datetime) -> Produced | None:
        """Return what was counted of a stream in an hour; None if no producer ever counted it there."""
        ...

    def days(self, since: date, now: datetime) -> Days:
        """Return what was counted of each stream on each day from `since` on."""
        ...

    def uses(self, now: datetime) -> Uses:
        """Return the clusters that producers use now, of streams that live on several.

        Of producers that were heard of lately and did not end.
        """
        ...


_METADATA = sa.MetaData()

_HOURS = sa.Table(
    "produced_hours",
    _METADATA,
    sa.Column("producer", sa.String(64), primary_key=True),
    sa.Column("stream", sa.String(255), primary_key=True),
    sa.Column("cluster", sa.String(255), primary_key=True),
    sa.Column("hour", sa.Integer, primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("attempted", sa.BigInteger, nullable=False),
    sa.Column("acknowledged", sa.BigInteger, nullable=False),
    sa.Column("dropped", sa.Text, nullable=False),
    sa.Index("produced_hours_by_hour", "hour", "stream"),
)

_PRODUCERS = sa.Table(
    "producers",
    _METADATA,
    sa.Column("producer", sa.String(64), primary_key=True),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("app", sa.String(255), nullable=False),
    sa.Column("began", sa.BigInteger, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("missed", sa.BigInteger, nullable=False),
    sa.Column("final", sa.Boolean, nullable=False),
)

_USES = sa.Table(
    "producer_uses",
    _METADATA,
    sa.Column("producer", sa.String(64), primary_key=True),
    sa.Column("stream", sa.String(255), primary_key=True),
    sa.Column("cluster", sa.String(255), nullable=False),
    sa.Column("why", sa.String(32), nullable=False),
)

_POSITIONS = sa.Table(
    "produced_positions",
    _METADATA,
    sa.Column("topic", sa.String(249), primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("next", sa.BigInteger, nullable=False),
)


class SqlProduced:
    """The counts in a SQL database; makes the tables when they are missing.

    Args:
        url: of the database, as SQLAlchemy takes it.
        create: whether a SQLite file that is not there is made; a ledger must not come about by counts.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self._tables = LedgerTables(url, _METADATA, "producers' counts", create=create)

    def positions(self, topic: str) -> Mapping[int, int]:
        query = sa.select(_POSITIONS.c.part, _POSITIONS.c.next).where(_POSITIONS.c.topic == topic)
        with self._tables.transaction() as connection:
            return {row.part: row.next for row in connection.execute(query)}

    def record(self, topic: str, events: Sequence[AuditEvent], positions: Mapping[int, int], now: datetime) -> None:
        with self._tables.transaction() as connection:
            _take_hours(connection, events)
            _take_producers(connection, events)
            for part, offset in positions.items():
                _put(connection, _POSITIONS, {"topic": topic, "part": part}, {"next": offset})
            connection.execute(_HOURS.delete().where(_HOURS.c.hour < hour_number(now - KEPT)))
            oldest = int((now - KEPT).timestamp() * 1000)
            connection.execute(_PRODUCERS.delete().where(_PRODUCERS.c.until < oldest))
            connection.execute(_USES.delete().where(_USES.c.producer.not_in(sa.select(_PRODUCERS.c.producer))))

    def hour(self, stream: str, hour: datetime, now: datetime) -> Produced | None:
        number = hour_number(hour)
        found = self._sums((_HOURS.c.stream == stream) & (_HOURS.c.hour == number), now)
        return found.get((stream, day_of(number)))

    def days(self, since: date, now: datetime) -> Days:
        first = hour_number(datetime.combine(since, datetime.min.time(), tzinfo=now.tzinfo))
        return self._sums(_HOURS.c.hour >= first, now)

    def uses(self, now: datetime) -> Uses:
        query = (
            sa.select(_USES.c.stream, _USES.c.cluster, _USES.c.why, sa.func.count().label("producers"))
            .select_from(_USES.join(_PRODUCERS, _USES.c.producer == _PRODUCERS.c.producer))
            .where(sa.not_(_PRODUCERS.c.final), sa.not_(_is_silent(now)))
            .group_by(_USES.c.stream, _USES.c.cluster, _USES.c.why)
            .order_by(_USES.c.stream, _USES.c.cluster, _USES.c.why)
        )
        found: dict[str, tuple[ClusterUse, ...]] = {}
        with self._tables.transaction() as connection:
            for stream, cluster, why, producers in connection.execute(query):
                use = ClusterUse(cluster=cluster, why=why, producers=producers)
                found[stream] = (*found.get(stream, ()), use)
        return found

    def _sums(self, which: sa.ColumnElement[bool], now: datetime) -> dict[tuple[str, date], Produced]:
        query = (
            sa.select(_HOURS, sa.func.coalesce(_is_silent(now), sa.true()).label("silent"))
            .select_from(_HOURS.outerjoin(_PRODUCERS, _HOURS.c.producer == _PRODUCERS.c.producer))
            .where(which)
        )
        sums: dict[tuple[str, date], _Sum] = {}
        with self._tables.transaction() as connection:
            for row in connection.execute(query).mappings():
                sums.setdefault((row["stream"], day_of(row["hour"])), _Sum()).add(row)
        return {place: each.produced() for place, each in sums.items()}


class _Sum:
    """Rows of one stream and day, added up."""

    def __init__(self) -> None:
        self._attempted = self._acknowledged = 0
        self._dropped: dict[str, int] = {}
        self._by_cluster: dict[str, int] = {}
        self._producers: dict[str, bool] = {}

    def add(self, row: Mapping[Any, Any]) -> None:
        self._attempted += row["attempted"]
        self._acknowledged += row["acknowledged"]
        self._dropped = merged(self._dropped, json.loads(row["dropped"]))
        self._by_cluster = merged(self._by_cluster, {row["cluster"]: row["acknowledged"]})
        self._producers[row["producer"]] = bool(row["silent"])

    def produced(self) -> Produced:
        return Produced(
            attempted=self._attempted,
            acknowledged=self._acknowledged,
            dropped=self._dropped,
            by_cluster=self._by_cluster,
            producers=len(self._producers),
            silent=sum(self._producers.values()),
        )


def _is_silent(now: datetime) -> sa.ColumnElement[bool]:
    heard = int((now - SILENT_AFTER).timestamp() * 1000)
    return sa.not_(_PRODUCERS.c.final) & (_PRODUCERS.c.until < heard)


def _take_hours(connection: sa.Connection, events: Sequence[AuditEvent]) -> None:
    newest: dict[tuple[str, str, str, int], dict[str, Any]] = {}
    for event in sorted(events, key=lambda event: event.sequence):
        for stream, cluster, hour, attempted, acknowledged, dropped in event.counts:
            counts = {"attempted": attempted, "acknowledged": acknowledged, "dropped": json.dumps(dropped)}
            newest[event.producer, stream, cluster, hour] = {"sequence": event.sequence, **counts}
    for (producer, stream, cluster, hour), values in newest.items():
        key = {"producer": producer, "stream": stream, "cluster": cluster, "hour": hour}
        _put(connection, _HOURS, key, values, newer_than=values["sequence"])


def _take_producers(connection: sa.Connection, events: Sequence[AuditEvent]) -> None:
    by_producer: dict[str, dict[int, AuditEvent]] = {}
    for event in events:
        by_producer.setdefault(event.producer, {})[event.sequence] = event
    for producer, told in by_producer.items():
        query = sa.select(_PRODUCERS.c.sequence, _PRODUCERS.c.missed).where(_PRODUCERS.c.producer == producer)
        known = connection.execute(query).first()
        before, missed = (known.sequence, known.missed) if known else (-1, 0)
        newest = told[max(told)]
        if newest.sequence <= before:
            continue
        values = {name: getattr(newest, name) for name in ("host", "app", "began", "until", "sequence", "final")}
        values["missed"] = missed + newest.sequence - before - sum(sequence > before for sequence in told)
        _put(connection, _PRODUCERS, {"producer": producer}, values)
        connection.execute(_USES.delete().where(_USES.c.producer == producer))
        for stream, cluster, why in newest.using:
            _put(connection, _USES, {"producer": producer, "stream": stream}, {"cluster": cluster, "why": why})


def _put(
    connection: sa.Connection,
    table: sa.Table,
    key: Mapping[str, Any],
    values: Mapping[str, Any],
    newer_than: int | None = None,
) -> None:
    """Write a row in place of the one of that key, unless that one is newer already."""
    is_it = sa.and_(*(table.c[name] == value for name, value in key.items()))
    if newer_than is not None:
        known = connection.execute(sa.select(table.c.sequence).where(is_it)).scalar()
        if known is not None and known >= newer_than:
            return
    connection.execute(table.delete().where(is_it))
    connection.execute(table.insert().values({**key, **values}))
