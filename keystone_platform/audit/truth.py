"""What really became of a route's events: read back from Kafka and the sink, and compared with what should have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from keystone_platform import envelope
from keystone_platform.audit.expectation import Expectation, create_expected
from keystone_platform.audit.passed_on import MATCH, PassedOn
from keystone_platform.audit.records import Record, read_records
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.kafka import ConfluentKafka, Offsets
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.router_plan import KafkaTarget, RouterPlan, WarehouseTarget
from keystone_platform.query.session import open_session, translated
from keystone_platform.settings import Settings

_COUNTS = """
WITH sink AS (SELECT part, "offset", count(*) AS times FROM landed GROUP BY ALL),
     judged AS (
        SELECT expected.fate, sink.times, dead."offset" IS NOT NULL AS is_dead
        FROM expected
        LEFT JOIN sink USING (part, "offset")
        LEFT JOIN dead USING (part, "offset"))
SELECT
    (SELECT count(*) FROM expected),
    count(*) FILTER (WHERE times IS NOT NULL),
    count(*) FILTER (WHERE fate = 'filtered' AND times IS NULL AND NOT is_dead),
    count(*) FILTER (WHERE is_dead AND times IS NULL),
    count(*) FILTER (WHERE fate <> 'filtered' AND times IS NULL AND NOT is_dead),
    coalesce(sum(times - 1), 0)::BIGINT,
    count(*) FILTER (WHERE (fate <> 'kept' AND times IS NOT NULL) OR (fate <> 'dead' AND is_dead))
        + (SELECT count(*) FROM sink ANTI JOIN expected USING (part, "offset"))
FROM judged
"""


@dataclass(frozen=True)
class RouteTruth:
    """A route's events of a range of offsets; `produced` is the sum of landed, filtered, dead and lost.

    Attributes:
        produced: records in the source topic.
        landed: of these, how many are in the sink, each counted once.
        filtered: how many the filter should drop, and that are nowhere.
        dead: how many are in the dead letters of this route.
        lost: how many should be in the sink or the dead letters and are in neither.
        duplicated: rows of the sink that repeat another one's identity.
        unexpected: events in the sink or the dead letters that should not be there.
    """

    route: str
    produced: int
    landed: int
    filtered: int
    dead: int
    lost: int
    duplicated: int
    unexpected: int

    @property
    def is_complete(self) -> bool:
        """Whether each event is where it should be at least once, and nothing else: what a Kafka route promises."""
        return not (self.lost or self.unexpected)

    @property
    def is_exact(self) -> bool:
        """Whether each event is exactly where it should be."""
        return not (self.lost or self.duplicated or self.unexpected)


def audit_route(settings: Settings, plan: RouterPlan, start_offsets: Mapping[int, int] | None = None) -> RouteTruth:
    """Read a route's events from `start_offsets` to the topic's end, decide what should become of each, and look.

    A partition that `start_offsets` does not name is read from its oldest record. Uses nothing that routers use:
    another decoder, the filter in DuckDB, the identities in the sink. A row is known by (_topic, _partition, _offset),
    a record of a Kafka sink by all that it holds (`passed_on`), read as committed. Blocks for about 20 s for a million
    events; holds some 100 bytes for each. Rows that land meanwhile may be missed: wait until the route has
    caught up.

    Raises:
        Transient, Terminal: Kafka, catalog or object store do not answer, or refuse.
    """
    audit = RouteAudit(settings, plan, start_offsets)
    audit.catch_up()
    return audit.truth()


class RouteAudit:
    """An audit of one route for callers that look more than once, while events still come.

    The events of the range are those from `start_offsets` up to where the topic ended at the last `catch_up`.
    """

    def __init__(self, settings: Settings, plan: RouterPlan, start_offsets: Mapping[int, int] | None = None) -> None:
        self.plan = plan
        self._settings = settings
        self._kafka = ConfluentKafka(settings.kafka)
        self._start = start_offsets or {}
        self._span = Offsets(begin={}, end={})
        self._session = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        self._session.execute("SET timezone = 'UTC'")
        create_expected(self._session)
        self._expectation = Expectation(self._session, plan)

    def catch_up(self) -> None:
        """Read the events that came since the last call and decide what should become of each."""
        topic = self._kafka.offsets(self.plan.source.topic)
        first = {part: max(oldest, self._start.get(part, oldest)) for part, oldest in topic.begin.items()}
        begin = {**first, **self._span.begin}
        unread = Offsets(begin={**begin, **self._span.end}, end=topic.end)
        for records in read_records(self._settings.kafka, self.plan.source.topic, unread):
            self._expectation.add(records)
        self._span = Offsets(begin=begin, end=topic.end)

    def produced(self) -> int:
        """Return how many events the range has."""
        return self._count("SELECT count(*) FROM expected")

    def expected_rows(self) -> int:
        """Return how many rows the sink should have of the range."""
        return self._count("SELECT count(*) FROM expected WHERE fate = 'kept'")

    def landed_rows(self) -> int:
        """Return how many rows the sink has of the range now."""
        self._read_sink()
        return self._count("SELECT count(*) FROM landed")

    def dead_letters(self) -> int:
        """Return how many events of the range are in the dead letters now."""
        self._read_dead_letters()
        return self._count("SELECT count(*) FROM dead")

    def expected_dead(self) -> int:
        """Return how many events of the range should be in the dead letters."""
        return self._count("SELECT count(*) FROM expected WHERE fate = 'dead'")

    def truth(self) -> RouteTruth:
        """Read sink and dead letters and compare."""
        self._read_sink()
        self._read_dead_letters()
        (counts,) = self._session.execute(_COUNTS).fetchall()
        return RouteTruth(self.plan.route, *counts)

    def _count(self, query: str) -> int:
        row = self._session.execute(query).fetchone()
        return int(row[0]) if row else 0

    def _read_sink(self) -> None:
        self._session.execute('CREATE OR REPLACE TABLE landed (part INTEGER, "offset" BIGINT)')
        target = self.plan.target
        if isinstance(target, WarehouseTarget):
            self._keep_in_range("landed", self._table_identities(target.table))
        else:
            self._read_target_topic(target)

    def _table_identities(self, table: str) -> pa.Table:
        if IcebergLake(self._settings).head(table) is None:
            return _identities([])
        with open_session(self._settings, [table]) as session, translated(self._settings.s3):
            lowest = min(self._span.begin.values(), default=0)
            found = session.execute(
                f'SELECT _partition AS part, "_offset" AS "offset" FROM {table} WHERE _topic = ? AND "_offset" >= ?',
                [self.plan.source.topic, lowest],
            )
            return found.to_arrow_table()

    def _read_target_topic(self, target: KafkaTarget) -> None:
        self._session.execute("CREATE OR REPLACE TABLE found (guid VARCHAR, mark UBIGINT)")
        passed_on = PassedOn(self.plan, target)
        offsets = self._kafka.offsets(target.topic)
        for records in read_records(self._settings.kafka, target.topic, offsets):
            self._session.register("batch", passed_on.table(records))
            self._session.execute(f"INSERT INTO found SELECT _guid, {passed_on.found} FROM batch")
            self._session.unregister("batch")
        self._session.execute(MATCH)

    def _read_dead_letters(self) -> None:
        self._session.execute('CREATE OR REPLACE TABLE dead (part INTEGER, "offset" BIGINT)')
        topic = self.plan.dead_letter_topic
        offsets = self._kafka.offsets(topic)
        for records in read_records(self._settings.kafka, topic, offsets):
            self._keep_in_range("dead", _identities(list(_origins(records, self.plan))))
        # written at least once, so a repeated dead letter is no loss and no duplicate
        self._session.execute("CREATE OR REPLACE TABLE dead AS SELECT DISTINCT * FROM dead")

    def _keep_in_range(self, table: str, identities: pa.Table) -> None:
        span = self._span
        bounds = pa.table(
            {
                "part": pa.array(list(span.end), pa.int32()),
                "low": pa.array([span.begin[part] for part in span.end], pa.int64()),
                "high": pa.array(list(span.end.values()), pa.int64()),
            }
        )
        self._session.register("found", identities)
        self._session.register("bounds", bounds)
        self._session.execute(
            f'INSERT INTO {table} SELECT part, "offset" FROM found JOIN bounds USING (part)'
            ' WHERE "offset" >= low AND "offset" < high'
        )
        self._session.unregister("found")
        self._session.unregister("bounds")


def _origins(records: Sequence[Record], plan: RouterPlan) -> Iterator[tuple[int, int]]:
    """Yield the places from which this route's dead letters came."""
    wanted = {envelope.DLQ_ROUTE: plan.route.encode(), envelope.DLQ_TOPIC: plan.source.topic.encode()}
    for record in records:
        if any(record.headers.get(name) != value for name, value in wanted.items()):
            continue
        try:
            yield _number(record, envelope.DLQ_PARTITION), _number(record, envelope.DLQ_OFFSET)
        except ValueError as error:
            message = f"dead letter {plan.dead_letter_topic}-{record.partition}@{record.offset} has no place of origin"
            raise InvalidSpec(message, mend="Somebody else writes to this topic.") from error


def _number(record: Record, header: str) -> int:
    return int(record.headers.get(header) or b"")


def _identities(places: list[tuple[int, int]]) -> pa.Table:
    parts, offsets = zip(*places, strict=True) if places else ((), ())
    return pa.table({"part": pa.array(parts, pa.int32()), "offset": pa.array(offsets, pa.int64())})
