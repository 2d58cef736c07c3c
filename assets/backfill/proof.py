"""Whether a branch holds just the rows that the plan makes of the scope's events, found without Flink."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from assets.backfill.events import Events
from assets.backfill.held import Held
from assets.backfill.rows import OFFSET, PARTITION, TOPIC, identities
from keystone_platform.audit.expectation import Expectation, create_expected
from keystone_platform.audit.records import Record
from keystone_platform.gateways.schema_registry import SchemaRegistry
from keystone_platform.plan.backfill import Scope
from keystone_platform.plan.router_plan import RouterPlan

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Tell = Callable[[str], None]

_IDENTITY = 'topic, part, "offset"'


@dataclass(frozen=True)
class Expected:
    """What should become of the scope's events; their number is the sum."""

    kept: int
    filtered: int
    dead: int

    @property
    def events(self) -> int:
        """How many events of the scope the source has."""
        return self.kept + self.filtered + self.dead


@dataclass(frozen=True)
class BranchProof:
    """A branch compared with what is expected, by (topic, partition, offset).

    Attributes:
        written: rows in the branch.
        missing: identities that should be there and are not.
        surplus: identities that are there and should not be.
        repeated: rows whose identity is there already.
        held: the events that the source has; None where it lacks none.
    """

    expected: Expected
    written: int
    missing: int
    surplus: int
    repeated: int
    held: Held | None = field(default=None, repr=False)

    @property
    def holds(self) -> bool:
        """Whether the branch has each expected row once, and no other."""
        return not (self.missing or self.surplus or self.repeated)

    def __str__(self) -> str:
        """Return the counts."""
        return (
            f"{self.written:,} rows written, {self.expected.kept:,} expected: {self.missing:,} missing,"
            f" {self.surplus:,} surplus, {self.repeated:,} repeated"
        )


def expected(
    events: Events, plan: RouterPlan, scope: Scope, registry: SchemaRegistry, tell: Tell
) -> tuple[Expected, Held | None]:
    """Read the scope's events and decide what should become of each; see `prove`. Returns as well which there are."""
    with _session(events, plan, scope, registry, tell) as session:
        return _expected(session), _held(session, events)


def prove(
    events: Events,
    plan: RouterPlan,
    scope: Scope,
    table: Table,
    files: Sequence[DataFile],
    registry: SchemaRegistry,
    tell: Tell,
) -> BranchProof:
    """Compare the rows of these files with an independent evaluation of the plan over the scope's events.

    Blocks for about 20 s for a million events; identities spill to disk. Raises Transient or Terminal when the
    source does not give the events any more.
    """
    with _session(events, plan, scope, registry, tell) as session:
        session.execute('CREATE TABLE branch (topic VARCHAR, part INTEGER, "offset" BIGINT)')
        for file in files:
            for batch in identities(table, file):
                session.register("batch", pa.Table.from_batches([batch]))
                session.execute(f"INSERT INTO branch SELECT {TOPIC}, {PARTITION}, {OFFSET} FROM batch")
                session.unregister("batch")
        wanted = f"SELECT {_IDENTITY} FROM expected WHERE fate = 'kept'"
        return BranchProof(
            expected=_expected(session),
            written=_count(session, "SELECT count(*) FROM branch"),
            missing=_count(session, f"SELECT count(*) FROM ({wanted} EXCEPT SELECT {_IDENTITY} FROM branch)"),
            surplus=_count(session, f"SELECT count(*) FROM (SELECT {_IDENTITY} FROM branch EXCEPT {wanted})"),
            repeated=_count(
                session,
                f"SELECT count(*) - (SELECT count(*) FROM (SELECT DISTINCT {_IDENTITY} FROM branch)) FROM branch",
            ),
            held=_held(session, events),
        )


@contextmanager
def _session(
    events: Events, plan: RouterPlan, scope: Scope, registry: SchemaRegistry, tell: Tell
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a session whose table `expected` has a row for each event of the scope."""
    with (
        tempfile.TemporaryDirectory(prefix="keystone-backfill-") as spill,
        closing(duckdb.connect(config={"autoinstall_known_extensions": "false"})) as session,
    ):
        session.execute("SET timezone = 'UTC'")
        session.execute("SET memory_limit = '1GB'")
        session.execute("SET temp_directory = ?", [spill])
        create_expected(session)
        expectation = Expectation(session, plan, registry)
        read = 0
        for topic, records in events.records(scope):
            if mine := [record for record in records if scope.holds_time(_time(record))]:
                expectation.add(topic, mine)
            read += len(records)
            tell(f"proof: {read:,} events read again")
        yield session


def _expected(session: duckdb.DuckDBPyConnection) -> Expected:
    found = dict(session.execute("SELECT fate, count(*) FROM expected GROUP BY ALL").fetchall())
    return Expected(kept=found.get("kept", 0), filtered=found.get("filtered", 0), dead=found.get("dead", 0))


def _count(session: duckdb.DuckDBPyConnection, query: str) -> int:
    row = session.execute(query).fetchone()
    return int(row[0]) if row else 0


def _held(session: duckdb.DuckDBPyConnection, events: Events) -> Held | None:
    return None if events.lacks_none else Held.of(session, "expected")


def _time(record: Record) -> datetime | None:
    if record.timestamp_ms is None:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=record.timestamp_ms)
    except OverflowError:  # beyond the calendar, so in no range of time
        return None
