"""What really became of a route's events: read back from Kafka and the sink, and compared with what should have."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from keystone_platform import envelope
from keystone_platform.audit.expectation import Expectation, create_expected
from keystone_platform.audit.passed_on import MATCH, PassedOn
from keystone_platform.audit.records import Record, header_text, read_records
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.kafka import Offsets
from keystone_platform.gateways.kafka_clusters import connect_kafka
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.schema_registry import registry_of
from keystone_platform.gateways.search import OpenSearch
from keystone_platform.plan.index_template import index_pattern
from keystone_platform.plan.router_plan import KafkaTarget, RouterPlan, SearchTarget, WarehouseTarget
from keystone_platform.query.session import open_session, translated
from keystone_platform.settings import Settings

Start = Mapping[str, Mapping[int, int]]
"""By topic and partition, the offset to begin with."""

_COUNTS = """
WITH sink AS (SELECT topic, part, "offset", count(*) AS times FROM landed GROUP BY ALL),
     judged AS (
        SELECT expected.fate, sink.times, dead."offset" IS NOT NULL AS is_dead
        FROM expected
        LEFT JOIN sink USING (topic, part, "offset")
        LEFT JOIN dead USING (topic, part, "offset"))
SELECT
    (SELECT count(*) FROM expected),
    count(*) FILTER (WHERE times IS NOT NULL),
    count(*) FILTER (WHERE fate = 'filtered' AND times IS NULL AND NOT is_dead),
    count(*) FILTER (WHERE is_dead AND times IS NULL),
    count(*) FILTER (WHERE fate <> 'filtered' AND times IS NULL AND NOT is_dead),
    coalesce(sum(times - 1), 0)::BIGINT,
    count(*) FILTER (WHERE (fate <> 'kept' AND times IS NOT NULL) OR (fate <> 'dead' AND is_dead))
        + (SELECT count(*) FROM sink ANTI JOIN expected USING (topic, part, "offset"))
FROM judged
"""


@dataclass(frozen=True)
class RouteTruth:
    """A route's events of a range of offsets; `produced` is the sum of landed, filtered, dead and lost.

    Attributes:
        produced: records that the route is given: of the source topic, and of its replayed dead letters.
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


def audit_route(settings: Settings, plan: RouterPlan, start: Start | None = None) -> RouteTruth:
    """Read a route's events from `start` to the end of its topics, decide what should become of each, and look.

    A partition that `start` does not name is read from its oldest record. Uses nothing that routers use:
    another decoder, the filter in DuckDB, the identities in the sink. A row or a document is known by (_topic,
    _partition, _offset), a record of a Kafka sink by all that it holds (`passed_on`), read as committed. Blocks for
    about 20 s for a million events; holds some 100 bytes for each. Rows that land meanwhile may be missed: wait until
    the route has caught up.

    Raises:
        Transient, Terminal: Kafka, catalog or object store do not answer, or refuse.
    """
    audit = RouteAudit(settings, plan, start)
    audit.catch_up()
    return audit.truth()


class RouteAudit:
    """An audit of one route for callers that look more than once, while events still come.

    The events of the range are those from `start` up to where the topics ended at the last `catch_up`; `topics` are
    all that the route reads unless some are named.
    """

    def __init__(
        self,
        settings: Settings,
        plan: RouterPlan,
        start: Start | None = None,
        topics: Sequence[str] | None = None,
    ) -> None:
        self.plan = plan
        self._settings = settings
        self._kafka = connect_kafka(settings)
        self._start = start or {}
        self._spans = {topic: Offsets(begin={}, end={}) for topic in topics or plan.source.topics}
        self._session = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        self._session.execute("SET timezone = 'UTC'")
        create_expected(self._session)
        self._expectation = Expectation(self._session, plan, registry_of(settings.registry))

    def catch_up(self) -> None:
        """Read the events that came since the last call and decide what should become of each."""
        for topic, span in self._spans.items():
            now, start = self._kafka.offsets(topic), self._start.get(topic, {})
            first = {part: max(oldest, start.get(part, oldest)) for part, oldest in now.begin.items()}
            begin = {**first, **span.begin}
            unread = Offsets(begin={**begin, **span.end}, end=now.end)
            for records in read_records(self._kafka.properties, topic, unread):
                self._expectation.add(topic, records)
            self._spans[topic] = Offsets(begin=begin, end=now.end)

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
        self._session.execute('CREATE OR REPLACE TABLE landed (topic VARCHAR, part INTEGER, "offset" BIGINT)')
        target = self.plan.target
        match target:
            case WarehouseTarget(table=table):
                self._keep_in_range("landed", self._table_identities(table))
            case KafkaTarget():
                self._read_target_topic(target)
            case SearchTarget():
                cluster = OpenSearch(self._settings.search)
                for places in cluster.places(index_pattern(target), list(self._spans)):
                    self._keep_in_range("landed", _identities(places))

    def _table_identities(self, table: str) -> pa.Table:
        if IcebergLake(self._settings).head(table) is None:
            return _identities([])
        with open_session(self._settings, [table]) as session, translated(self._settings.s3):
            wanted = " OR ".join('(_topic = ? AND "_offset" >= ?)' for _ in self._spans)
            lowest = ((topic, min(span.begin.values(), default=0)) for topic, span in self._spans.items())
            columns = '_topic AS topic, _partition AS part, "_offset" AS "offset"'
            found = session.execute(
                f"SELECT {columns} FROM {table} WHERE {wanted}", list(itertools.chain.from_iterable(lowest))
            )
            return found.to_arrow_table()

    def _read_target_topic(self, target: KafkaTarget) -> None:
        self._session.execute("CREATE OR REPLACE TABLE found (guid VARCHAR, mark UBIGINT)")
        passed_on = PassedOn(self.plan, target)
        offsets = self._kafka.offsets(target.topic)
        for records in read_records(self._kafka.properties, target.topic, offsets):
            self._session.register("batch", passed_on.table(records))
            self._session.execute(f"INSERT INTO found SELECT _guid, {passed_on.found} FROM batch")
            self._session.unregister("batch")
        self._session.execute(MATCH)

    def _read_dead_letters(self) -> None:
        self._session.execute('CREATE OR REPLACE TABLE dead (topic VARCHAR, part INTEGER, "offset" BIGINT)')
        for topic in self.plan.letters_of(self._spans):
            offsets = self._kafka.offsets(topic)
            for records in read_records(self._kafka.properties, topic, offsets):
                self._keep_in_range("dead", _identities(list(_origins(records, self.plan, topic))))
        # written at least once, so a repeated dead letter is no loss and no duplicate
        self._session.execute("CREATE OR REPLACE TABLE dead AS SELECT DISTINCT * FROM dead")

    def _keep_in_range(self, table: str, identities: pa.Table) -> None:
        found = [
            (topic, part, span.begin[part], end)
            for topic, span in self._spans.items()
            for part, end in span.end.items()
        ]
        topics, parts, lows, highs = zip(*found, strict=True) if found else ((), (), (), ())
        bounds = pa.table(
            {
                "topic": pa.array(topics, pa.string()),
                "part": pa.array(parts, pa.int32()),
                "low": pa.array(lows, pa.int64()),
                "high": pa.array(highs, pa.int64()),
            }
        )
        self._session.register("found", identities)
        self._session.register("bounds", bounds)
        self._session.execute(
            f'INSERT INTO {table} SELECT topic, part, "offset" FROM found JOIN bounds USING (topic, part)'
            ' WHERE "offset" >= low AND "offset" < high'
        )
        self._session.unregister("found")
        self._session.unregister("bounds")


def _origins(records: Sequence[Record], plan: RouterPlan, letters: str) -> Iterator[tuple[str, int, int]]:
    """Yield the places from which this route's dead letters, of the topic `letters`, came."""
    for record in records:
        topic = header_text(record, envelope.DLQ_TOPIC)
        if topic not in plan.source.topics or header_text(record, envelope.DLQ_ROUTE) != plan.route:
            continue
        try:
            yield topic, _number(record, envelope.DLQ_PARTITION), _number(record, envelope.DLQ_OFFSET)
        except ValueError as error:
            message = f"dead letter {letters}-{record.partition}@{record.offset} has no place of origin"
            raise InvalidSpec(message, mend="Somebody else writes to this topic.") from error


def _number(record: Record, header: str) -> int:
    return int(record.headers.get(header) or b"")


def _identities(places: list[tuple[str, int, int]]) -> pa.Table:
    topics, parts, offsets = zip(*places, strict=True) if places else ((), (), ())
    columns = {"topic": pa.array(topics, pa.string()), "part": pa.array(parts, pa.int32())}
    return pa.table({**columns, "offset": pa.array(offsets, pa.int64())})
