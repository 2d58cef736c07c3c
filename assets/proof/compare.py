"""Compares events with rows, a window of offsets at a time: what is held is a window's fates and marks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import duckdb

from assets.proof.expected import Expected, RowMark
from assets.proof.letters import Letters
from assets.proof.sample import Block, Window
from keystone_platform.audit.records import Clients, read_records
from keystone_platform.gateways.kafka import Offsets
from keystone_platform.gateways.schema_registry import SchemaRegistry
from keystone_platform.plan.hour_proof import Comparison
from keystone_platform.plan.recovery import NextOffsets
from keystone_platform.plan.router_plan import RouterPlan

EXAMPLES = 20

_TABLES = """
CREATE OR REPLACE TEMP TABLE expected
    (plan INTEGER, topic VARCHAR, part INTEGER, "offset" BIGINT, fate VARCHAR, mark UBIGINT);
CREATE OR REPLACE TEMP TABLE landed (topic VARCHAR, part INTEGER, "offset" BIGINT, mark UBIGINT);
"""

_LASTING = """
CREATE TEMP TABLE dead (topic VARCHAR, part INTEGER, "offset" BIGINT, ours BOOLEAN);
CREATE TEMP TABLE newest (topic VARCHAR, part INTEGER, next BIGINT);
"""

_JUDGED = """
CREATE OR REPLACE TEMP TABLE judged AS
WITH sink AS (
        SELECT topic, part, "offset", count(*) AS times, min(mark) AS low, max(mark) AS high FROM landed GROUP BY ALL),
     letters AS (SELECT topic, part, "offset", bool_or(ours) AS ours FROM dead GROUP BY ALL),
     fates AS (
        SELECT expected.*, times, coalesce(low = mark AND high = mark, false) AS is_equal,
            letters."offset" IS NOT NULL AS is_dead, coalesce(ours, false) AS ours,
            "offset" < coalesce(next, 0) AS is_passed,
            CASE fate WHEN 'kept' THEN is_equal
                WHEN 'filtered' THEN times IS NULL AND NOT is_dead
                ELSE times IS NULL AND is_dead END AS is_right
        FROM expected
        LEFT JOIN sink USING (topic, part, "offset")
        LEFT JOIN letters USING (topic, part, "offset")
        LEFT JOIN newest USING (topic, part)),
     one AS (
        SELECT * FROM fates
        QUALIFY row_number() OVER (PARTITION BY topic, part, "offset" ORDER BY is_right DESC, plan) = 1)
SELECT *, CASE
    WHEN times IS NOT NULL AND fate <> 'kept' THEN 'unexpected row'
    WHEN times IS NOT NULL AND NOT is_equal THEN 'different'
    WHEN times IS NULL AND NOT is_dead AND fate <> 'filtered' AND is_passed THEN 'missing'
    WHEN times IS NULL AND NOT is_dead AND fate <> 'filtered' THEN 'waiting'
    WHEN is_dead AND fate <> 'dead' AND ours AND plan = 0 THEN 'unexpected dead letter' END AS wrong
FROM one
UNION ALL
SELECT NULL, topic, part, "offset", NULL, NULL, times, false, false, false, false, false, 'row without an event'
FROM sink ANTI JOIN expected USING (topic, part, "offset")
"""
"""One row an event, by the first plan under which all is right, else the present one; and the rows of no event."""

_COUNTS = """
SELECT count(plan),
    count(*) FILTER (plan IS NOT NULL AND times IS NOT NULL),
    count(*) FILTER (times IS NULL AND NOT is_dead AND fate = 'filtered'),
    count(*) FILTER (times IS NULL AND is_dead),
    count(*) FILTER (wrong = 'missing'),
    count(*) FILTER (wrong = 'waiting'),
    count(*) FILTER (starts_with(wrong, 'unexpected') OR wrong = 'row without an event'),
    count(*) FILTER (wrong = 'different'),
    coalesce(sum(times - 1), 0)::BIGINT,
    count(*) FILTER (plan > 0),
    coalesce(sum(mark) FILTER (fate = 'kept' AND (times IS NOT NULL OR NOT is_dead)), 0),
    (SELECT coalesce(sum(mark), 0) FROM landed)
FROM judged
"""

_EXAMPLES = """
SELECT topic || '-' || part || '@' || "offset" || ': ' || coalesce(wrong, times || ' rows')
FROM judged WHERE wrong IS NOT NULL OR times > 1 ORDER BY wrong = 'waiting', topic, part, "offset" LIMIT ?
"""

_ADDED = (
    "read",
    "landed",
    "filtered",
    "dead",
    "missing",
    "waiting",
    "unexpected",
    "different",
    "duplicates",
    "earlier_plan",
    "events",
    "rows",
)


@dataclass
class _Sums:
    """What was counted so far."""

    offsets: int = 0
    counted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_ADDED, 0))
    examples: list[str] = field(default_factory=list)


class Comparer:
    """Compares the windows of one segment with one state of a table.

    Args:
        session: a DuckDB session that can read Iceberg tables, of its own.
        metadata_location: the table's state.
        kafka: properties of a Kafka client, by topic.
        plans: by which events are judged: the present one, then those that ran before it and may have landed some.
        letters: the route's dead letters.
        next_offsets: asked when an event has no row: up to where the table holds the partitions' events.
        registry: of the writers' schemas, for streams in Avro and Protobuf.
    """

    def __init__(
        self,
        session: duckdb.DuckDBPyConnection,
        metadata_location: str,
        kafka: Clients,
        plans: Sequence[RouterPlan],
        letters: Letters,
        next_offsets: Callable[[], NextOffsets],
        registry: SchemaRegistry | None = None,
    ) -> None:
        self._session = session
        self._location = metadata_location
        self._kafka = kafka
        self._letters = letters
        self._next_offsets: Callable[[], NextOffsets] | None = next_offsets
        mark = RowMark(_columns(session, metadata_location))
        self._landed_mark = mark.landed
        self._expected = [Expected(plan, mark, registry) for plan in plans]
        self._sums = _Sums()
        session.execute(_LASTING)
        self._add_letters(older=False)

    def compare(self, window: Window) -> None:
        """Read the window's events and rows and add what became of them to the result.

        Raises:
            Transient, Terminal: see read_records.
            duckdb.Error: see keystone_platform.query.session.translated.
        """
        self._session.execute(_TABLES)
        self._read_events(window, 0)
        for block in window:
            self._read_rows(block)
        self._judge()
        if self._is_wrong():
            self._look_further(window)
        self._add(window)

    def result(self) -> Comparison:
        """Return what was found so far."""
        counted = dict(self._sums.counted)
        checksums = {f"checksum_{side}": f"{counted.pop(side) % 2**64:016x}" for side in ("events", "rows")}
        offsets = self._sums.offsets
        return Comparison(offsets=offsets, empty=offsets - counted["read"], **counted, **checksums)

    def examples(self) -> tuple[str, ...]:
        """Return places of what is wrong, EXAMPLES at most."""
        return tuple(self._sums.examples)

    def _read_events(self, window: Window, plan: int) -> None:
        expected = self._expected[plan]
        for topic in dict.fromkeys(block.topic for block in window):
            blocks = [block for block in window if block.topic == topic]
            span = Offsets(
                {each.partition: each.begin for each in blocks}, {each.partition: each.end for each in blocks}
            )
            for records in read_records(self._kafka, topic, span):
                self._session.register("batch", expected.events(records))
                self._session.execute(f"INSERT INTO expected SELECT ?, ?, {expected.columns} FROM batch", [plan, topic])
                self._session.unregister("batch")

    def _read_rows(self, block: Block) -> None:
        # one partition and one range a query: files and row groups that can't hold them are not opened
        self._session.execute(
            f'INSERT INTO landed SELECT "_topic", "_partition", "_offset", {self._landed_mark} FROM iceberg_scan(?)'
            ' WHERE "_topic" = ? AND "_partition" = ? AND "_offset" >= ? AND "_offset" < ?',
            [self._location, block.topic, block.partition, block.begin, block.end],
        )

    def _look_further(self, window: Window) -> None:
        """Ask what was left aside as long as all seemed right: older letters, the table's ends, plans of before."""
        if self._letters.has_older:
            self._add_letters(older=True)
        if self._next_offsets is not None:
            ends = [(topic, part, end) for topic, parts in self._next_offsets().items() for part, end in parts.items()]
            if ends:
                self._session.executemany("INSERT INTO newest VALUES (?, ?, ?)", ends)
            self._next_offsets = None
        self._judge()
        for plan in range(1, len(self._expected)):
            if not self._is_wrong():
                return
            self._read_events(window, plan)
            self._judge()

    def _add_letters(self, *, older: bool) -> None:
        for found in self._letters.older() if older else self._letters.newer():
            self._session.register("batch", found)
            self._session.execute("INSERT INTO dead SELECT * FROM batch")
            self._session.unregister("batch")

    def _judge(self) -> None:
        self._session.execute(_JUDGED)

    def _is_wrong(self) -> bool:
        row = self._session.execute("SELECT count(*) FROM judged WHERE wrong IS NOT NULL").fetchone()
        return bool(row and row[0])

    def _add(self, window: Window) -> None:
        self._sums.offsets += sum(block.offsets for block in window)
        (counts,) = self._session.execute(_COUNTS).fetchall()
        for name, count in zip(_ADDED, counts, strict=True):
            self._sums.counted[name] += count
        room = EXAMPLES - len(self._sums.examples)
        self._sums.examples += [text for (text,) in self._session.execute(_EXAMPLES, [room]).fetchall()]


def _columns(session: duckdb.DuckDBPyConnection, metadata_location: str) -> list[tuple[str, str]]:
    described = session.execute("SELECT * FROM iceberg_scan(?) LIMIT 0", [metadata_location]).description
    return [(column[0], str(column[1])) for column in described or ()]
