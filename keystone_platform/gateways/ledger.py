"""The ledger: history of all deployments, and the fence that lets only one act on a route at a time."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from keystone_platform.errors import Conflict, Transient
from keystone_platform.gateways import ledger_schemas
from keystone_platform.gateways.database_errors import code_of
from keystone_platform.plan.deployment import Cause, Deployment, End, Outcome, job_id_of
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.schemas.compatibility import SchemaVersion
from keystone_platform.schemas.document import Contract
from keystone_platform.spec.models import Compatibility


class Ledger(Protocol):
    """Every call is one transaction; it blocks for at most the database's lock time-out and then raises Transient."""

    def latest(self) -> dict[str, Deployment]:
        """Return the newest deployment of each route, in one query."""
        ...

    def history(self, route: str) -> tuple[Deployment, ...]:
        """Return the route's deployments, newest first."""
        ...

    def of_jobs(self, job_ids: Collection[str]) -> dict[str, Deployment]:
        """Return the deployments of these Flink jobs by job id; what is not of this ledger is left out."""
        ...

    def intend(
        self, plan: RouterPlan, *, after: int, cause: Cause, restore_from: str | None, now: datetime
    ) -> Deployment:
        """Record the intent to start epoch `after + 1`.

        Raises Conflict when `after` is not the newest epoch or that one is still open: somebody else was first.
        """
        ...

    def record_outcome(self, deployment: Deployment, outcome: Outcome, *, note: str = "", now: datetime) -> Deployment:
        """Record how the submission ended; raises Conflict when another outcome is recorded already.

        The same outcome may come twice: from who submitted, and from who found the job running meanwhile.
        """
        ...

    def intend_stop(self, deployment: Deployment, *, now: datetime) -> Deployment:
        """Record that a stop begins; raises Conflict when it has ended, or another began since `deployment` was read.

        One that was begun before that may be begun again: who began it may have died.
        """
        ...

    def record_end(
        self, deployment: Deployment, end: End, *, savepoint: str | None = None, note: str = "", now: datetime
    ) -> Deployment:
        """Record that it ended; raises Conflict when an end is recorded already."""
        ...

    def schemas(self, stream: str | None = None) -> tuple[SchemaVersion, ...]:
        """Return the published versions of the stream's schema, or of all streams', oldest first."""
        ...

    def publish_schema(self, contract: Contract, compatibility: Compatibility, *, now: datetime) -> SchemaVersion:
        """Return the newest version if that is its content, else a new one; who checks is the caller.

        Raises Conflict when somebody else published in the same moment.
        """
        ...


_METADATA = sa.MetaData()

_IDENTITY = sa.Table(
    "ledger",
    _METADATA,
    sa.Column("singleton", sa.Integer, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False),
)

_DEPLOYMENTS = sa.Table(
    "deployments",
    _METADATA,
    sa.Column("route", sa.String(200), primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("job_id", sa.String(32), nullable=False, unique=True),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("cause", sa.String(20), nullable=False),
    sa.Column("restore_from", sa.Text),
    sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("outcome", sa.String(20)),
    sa.Column("outcome_at", sa.DateTime(timezone=True)),
    sa.Column("stop_intended_at", sa.DateTime(timezone=True)),
    sa.Column("savepoint", sa.Text),
    sa.Column("end", sa.String(20)),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
)

_LOCK_TIMEOUT_S = 10
"""For transactions that take milliseconds; a tick of the health sensor has to end while the database is locked."""

_IDS_PER_QUERY = 500

_PLANS_KEPT = 4096
"""Parsed plans; some 10 KB each."""


class SqlLedger:
    """The ledger in a SQL database; makes its tables when they are missing.

    Args:
        url: of the database, as SQLAlchemy takes it.
        create: whether a SQLite file that is not there is made. A new ledger knows none of the jobs that run, so one
            whose file was moved away must not come about by a mere look.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        file = sa.make_url(url).database if url.startswith("sqlite") else None
        if file and not create and not Path(file).is_file():
            message = f"the ledger is gone: there is no file {file}"
            mend = "Put it back. `keystone up` makes a new one, which knows none of the routers that run."
            raise Transient(message, mend=mend)
        options = {"timeout": _LOCK_TIMEOUT_S} if url.startswith("sqlite") else {}
        self._engine = sa.create_engine(url, connect_args=options, pool_pre_ping=True)
        self._create_tables()
        self._id = self._identity()

    def latest(self) -> dict[str, Deployment]:
        newest = (
            sa.select(_DEPLOYMENTS.c.route, sa.func.max(_DEPLOYMENTS.c.epoch).label("epoch"))
            .group_by(_DEPLOYMENTS.c.route)
            .subquery()
        )
        query = sa.select(_DEPLOYMENTS).join(
            newest, (_DEPLOYMENTS.c.route == newest.c.route) & (_DEPLOYMENTS.c.epoch == newest.c.epoch)
        )
        with self._transaction() as connection:
            return {row.route: _deployment(row) for row in connection.execute(query)}

    def history(self, route: str) -> tuple[Deployment, ...]:
        query = sa.select(_DEPLOYMENTS).where(_DEPLOYMENTS.c.route == route).order_by(_DEPLOYMENTS.c.epoch.desc())
        with self._transaction() as connection:
            return tuple(_deployment(row) for row in connection.execute(query))

    def of_jobs(self, job_ids: Collection[str]) -> dict[str, Deployment]:
        wanted = sorted(job_ids)
        found: list[Deployment] = []
        with self._transaction() as connection:
            for start in range(0, len(wanted), _IDS_PER_QUERY):
                some = _DEPLOYMENTS.c.job_id.in_(wanted[start : start + _IDS_PER_QUERY])
                found += map(_deployment, connection.execute(sa.select(_DEPLOYMENTS).where(some)))
        return {each.job_id: each for each in found}

    def intend(
        self, plan: RouterPlan, *, after: int, cause: Cause, restore_from: str | None, now: datetime
    ) -> Deployment:
        history = self.history(plan.route)
        newest = history[0] if history else None
        if (newest.epoch if newest else 0) != after or (newest and newest.is_open):
            raise _overtaken(plan.route)
        epoch = after + 1
        deployment = Deployment(
            route=plan.route,
            epoch=epoch,
            job_id=job_id_of(self._id, plan.route, epoch),
            plan=plan,
            cause=cause,
            restore_from=restore_from,
            intended_at=now,
        )
        try:
            with self._transaction() as connection:
                connection.execute(_DEPLOYMENTS.insert().values(_row(deployment)))
        except IntegrityError as error:  # the primary key is the fence: of two writers of one epoch one fails
            raise _overtaken(plan.route) from error
        return deployment

    def record_outcome(self, deployment: Deployment, outcome: Outcome, *, note: str = "", now: datetime) -> Deployment:
        values = {"outcome": outcome.value, "outcome_at": now, "note": note}
        known = _DEPLOYMENTS.c.outcome
        return self._update(deployment, values, known.is_(None) | (known == outcome.value))

    def intend_stop(self, deployment: Deployment, *, now: datetime) -> Deployment:
        begun, seen = _DEPLOYMENTS.c.stop_intended_at, deployment.stop_intended_at
        unchanged = begun.is_(None) if seen is None else begun == seen
        return self._update(deployment, {"stop_intended_at": now}, _DEPLOYMENTS.c.end.is_(None) & unchanged)

    def record_end(
        self, deployment: Deployment, end: End, *, savepoint: str | None = None, note: str = "", now: datetime
    ) -> Deployment:
        values = {"end": end.value, "ended_at": now, "savepoint": savepoint, "note": note}
        return self._update(deployment, values, _DEPLOYMENTS.c.end.is_(None))

    def schemas(self, stream: str | None = None) -> tuple[SchemaVersion, ...]:
        with self._transaction() as connection:
            return ledger_schemas.versions(connection, stream)

    def publish_schema(self, contract: Contract, compatibility: Compatibility, *, now: datetime) -> SchemaVersion:
        try:
            with self._transaction() as connection:
                return ledger_schemas.publish(connection, contract, compatibility, now)
        except IntegrityError as error:
            raise _overtaken(contract.stream) from error

    def _update(self, deployment: Deployment, values: dict[str, Any], expected: sa.ColumnElement[bool]) -> Deployment:
        one = (_DEPLOYMENTS.c.route == deployment.route) & (_DEPLOYMENTS.c.epoch == deployment.epoch)
        with self._transaction() as connection:
            if connection.execute(_DEPLOYMENTS.update().where(one & expected).values(values)).rowcount != 1:
                raise _overtaken(deployment.route)
            return _deployment(connection.execute(sa.select(_DEPLOYMENTS).where(one)).one())

    def _create_tables(self) -> None:
        for metadata in (_METADATA, ledger_schemas.METADATA):
            try:
                with self._transaction() as connection:
                    metadata.create_all(connection)
            except Transient:  # another process made them in the same moment
                with self._transaction() as connection:
                    metadata.create_all(connection)

    def _identity(self) -> uuid.UUID:
        query = sa.select(_IDENTITY.c.id)
        with self._transaction() as connection:
            known = connection.execute(query).scalar()
        if known is None:
            with suppress(IntegrityError), self._transaction() as connection:
                connection.execute(_IDENTITY.insert().values(singleton=1, id=str(uuid.uuid4())))
            with self._transaction() as connection:
                known = connection.execute(query).scalar_one()
        return uuid.UUID(known)

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except OperationalError as error:
            where = self._engine.url.render_as_string(hide_password=True)
            message = f"the ledger database at {where} does not answer{code_of(error)}"
            raise Transient(message, mend="Check that it runs and is writable.") from error


def _overtaken(route: str) -> Conflict:
    message = f"{route}: another reconcile acted on this route in between"
    return Conflict(message, mend="Look at its state with `keystone plan` and try again.")


def _row(deployment: Deployment) -> dict[str, Any]:
    values = {field.name: getattr(deployment, field.name) for field in fields(deployment)}
    return values | {"plan": deployment.plan.canonical_json(), "cause": deployment.cause.value}


@lru_cache(maxsize=_PLANS_KEPT)
def _plan(text: str) -> RouterPlan:
    """Parse a plan once in a process: who sweeps the fleet every ten seconds would make a heap of objects each time.

    Python's full garbage collections over that heap were what made a sweep grow faster than the fleet.
    """
    return RouterPlan.model_validate_json(text)


def _deployment(row: sa.Row[Any]) -> Deployment:
    values = dict(row._mapping)
    for name in ("intended_at", "outcome_at", "stop_intended_at", "ended_at"):
        if values[name] is not None and values[name].tzinfo is None:  # SQLite drops the zone; all is written in UTC
            values[name] = values[name].replace(tzinfo=UTC)
    values["plan"] = _plan(values["plan"])
    values["cause"] = Cause(values["cause"])
    values["outcome"] = Outcome(values["outcome"]) if values["outcome"] else None
    values["end"] = End(values["end"]) if values["end"] else None
    return Deployment(**values)
