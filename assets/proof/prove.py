"""Proves an hour: looks at its rows, its segment in Kafka and its table, and writes down what it counted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime

import duckdb
from pyiceberg.table import Table

from assets.proof.compare import Comparer
from assets.proof.declared import schema_differences
from assets.proof.elsewhere import without_rows_elsewhere
from assets.proof.files import may_be_missing, missing_files
from assets.proof.gaps import Gaps, merged, to_look_up, unread
from assets.proof.identities import Found, PartitionRows, count_around, count_identities
from assets.proof.letters import Letters
from assets.proof.sample import SAMPLE_OFFSETS, joined, sampled, whole, windows
from assets.proof.segment import segment_of
from keystone_platform.errors import InvalidSpec, interruptible
from keystone_platform.gateways.iceberg_files import live_entries
from keystone_platform.gateways.kafka_clusters import KafkaClusters, connect_kafka
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.landed_ends import next_offsets
from keystone_platform.gateways.schema_registry import registry_of
from keystone_platform.plan.hour_proof import Comparison, HourProof, Identities, Span
from keystone_platform.plan.router_plan import RouterPlan, WarehouseTarget
from keystone_platform.query.session import bare_session, translated
from keystone_platform.settings import Settings

MEMORY = "400MB"
"""What DuckDB may use before it spills to disk; beside it come a byte an offset, and what the client prefetches."""

Progress = Callable[[int, int], None]
"""Is told (offsets compared, offsets to compare)."""


@dataclass(frozen=True)
class Task:
    """What is to be proven.

    Attributes:
        plan: the route's, a warehouse one.
        hour: its start, UTC.
        whole: compare all that Kafka has, not a sample.
        earlier: plans that ran after the hour began and before `plan`, newest first.
        sample: offsets of a sample.
    """

    plan: RouterPlan
    hour: datetime
    whole: bool = False
    earlier: tuple[RouterPlan, ...] = ()
    sample: int = SAMPLE_OFFSETS

    @property
    def topics(self) -> tuple[str, ...]:
        """All that the route read since: a standby cluster that it has no more left rows all the same."""
        return tuple(dict.fromkeys(topic for plan in (self.plan, *self.earlier) for topic in plan.source.topics))

    @property
    def table(self) -> str:
        """The route's table."""
        if not isinstance(self.plan.target, WarehouseTarget):
            message = f"route {self.plan.route} has no table"
            raise InvalidSpec(message, mend="Only a warehouse route has one.")
        return self.plan.target.table


def prove_hour(
    settings: Settings, task: Task, now: datetime, progress: Progress = lambda _done, _all: None
) -> HourProof:
    """Return the proof of an hour as the table and Kafka are now; nothing is written.

    Uses nothing that routers use: another decoder, the filter in DuckDB. Blocks for seconds: 2 for the identities of
    ten million rows, 5 for a sample, 20 for each million events of a whole hour. Holds some hundred megabytes whatever
    the hour's size.

    Args:
        settings: where Kafka, catalog and object store are.
        task: what is to be proven.
        now: when it is.
        progress: is told how far the comparison is.

    Raises:
        InvalidSpec: no such table, or none of its routers ever committed.
        Transient, Terminal: Kafka, catalog or object store do not answer, or refuse; or records expired meanwhile.
    """
    kafka = connect_kafka(settings)
    spans = segment_of(kafka, task.plan, task.hour)
    lake = IcebergLake(settings)
    table = lake.load(task.table)
    snapshot = table.current_snapshot()
    if snapshot is None:
        message = f"table {task.table} has no rows yet"
        raise InvalidSpec(message, mend="Wait for the router's first commit.")
    found = HourProof(
        table=task.table,
        hour=task.hour,
        made_at=now,
        plan_digest=task.plan.digest,
        snapshot_id=snapshot.snapshot_id,
        sequence=snapshot.sequence_number or 0,
        whole=task.whole,
        schema_differences=schema_differences(table, task.plan),
    )
    with lake.translated(), _session(settings) as session:
        try:
            look = _Look(task, spans, table, session)
            gaps = look.identities()
            comparer = _comparer(settings, kafka, task, table, session, spans)
            read = _compare(task, spans, gaps, comparer, progress)
        except duckdb.Error as error:
            if may_be_missing(error) and (missing := missing_files(table, task.hour)):
                return found.model_copy(update={"files_missing": missing})
            raise
        return found.model_copy(
            update={
                "whole": task.whole or read.offsets >= sum(span.offsets for span in spans),
                "spans": tuple(span for span in look.spans if span.offsets or span.expired),
                "identities": look.counted(gaps, read.gaps_unread),
                "compared": read.comparison,
                "examples": comparer.examples(),
            }
        )


class _Look:
    """The look at the hour's rows."""

    def __init__(self, task: Task, spans: Sequence[Span], table: Table, session: duckdb.DuckDBPyConnection) -> None:
        self._task = task
        self._table = table
        self._session = session
        files = [entry.data_file.file_path for entry in live_entries(table, {task.hour})]
        # a filter drops events, so that an offset without a row means nothing
        self._found: Found = count_identities(session, files, spans, gaps=task.plan.filter is None)
        held = {(each.topic, each.partition): each for each in self._found.partitions}
        self.spans = tuple(_with_rows(span, held.get((span.topic, span.partition))) for span in spans)
        self._begins = {(span.topic, span.partition): span.begin for span in spans}
        rows = ((span, held.get((span.topic, span.partition))) for span in spans)
        is_around = any(each and (each.first < span.begin or each.last >= span.end) for span, each in rows)
        self._behind, before = count_around(session, files, spans) if is_around else (0, 0)
        self._expired = before if any(span.expired for span in self.spans) else 0

    def identities(self) -> list[Gaps]:
        """Return the offsets that no row of any hour has."""
        if not self._found.gaps:
            return []
        return without_rows_elsewhere(self._session, self._table.metadata_location, self._task.hour, self._found.gaps)

    def counted(self, gaps: Sequence[Gaps], gaps_unread: int) -> Identities:
        """Return the counts, of which `gaps` are in the segment or before what Kafka has."""
        counts_gaps = self._task.plan.filter is None
        return Identities(
            rows=self._found.rows,
            duplicates=self._found.duplicates,
            late=self._behind,
            expired_rows=self._expired,
            strangers=self._found.strangers(self._task.topics),
            gaps=sum(each.offsets for each in self._in_segment(gaps)) if counts_gaps else None,
            gaps_unread=gaps_unread,
            gaps_expired=sum(each.within(0, self._begin(each)).offsets for each in gaps) if counts_gaps else None,
        )

    def _in_segment(self, gaps: Sequence[Gaps]) -> list[Gaps]:
        return merged([each.within(self._begin(each), each.end) for each in gaps if len(each.ranges)])

    def _begin(self, gaps: Gaps) -> int:
        return self._begins.get((gaps.topic, gaps.partition), 0)


def _with_rows(span: Span, rows: PartitionRows | None) -> Span:
    """Return the span, expired only where something speaks for it: a row from before, or a record that comes first.

    A partition that nothing was written to for longer than Kafka keeps records has expired ones as well.
    """
    is_empty = not span.offsets and (rows is None or rows.first >= span.begin)
    return span.model_copy(update={"expired": False}) if span.expired and is_empty else span


@dataclass(frozen=True)
class _Read:
    offsets: int
    gaps_unread: int
    comparison: Comparison


def _compare(task: Task, spans: Sequence[Span], gaps: Sequence[Gaps], comparer: Comparer, progress: Progress) -> _Read:
    held = {(span.topic, span.partition): span for span in spans}
    kept = merged(
        [
            each.within(span.begin, span.end)
            for each in gaps
            if (span := held.get((each.topic, each.partition))) is not None
        ]
    )
    seed = f"{task.table}/{task.hour.isoformat()}"
    blocks = joined([*(whole(spans) if task.whole else sampled(spans, seed, task.sample)), *to_look_up(kept)])
    total, done = sum(block.offsets for block in blocks), 0
    for window in windows(blocks):
        progress(done, total)
        comparer.compare(window)
        done += sum(block.offsets for block in window)
    progress(done, total)
    return _Read(total, unread(kept, blocks), comparer.result())


def _comparer(
    settings: Settings,
    kafka: KafkaClusters,
    task: Task,
    table: Table,
    session: duckdb.DuckDBPyConnection,
    spans: Sequence[Span],
) -> Comparer:
    return Comparer(
        session,
        table.metadata_location,
        kafka.properties,
        (task.plan, *task.earlier),
        Letters(kafka, kafka.properties, task.plan, spans, task.hour),
        lambda: next_offsets(table, task.plan.source.topics),
        registry_of(settings.registry),
    )


@contextmanager
def _session(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with (
        tempfile.TemporaryDirectory(prefix="keystone-proof-") as spill,
        closing(bare_session(settings.s3)) as session,
        translated(settings.s3),
        interruptible(session),
    ):
        session.execute("SET memory_limit = ?", [MEMORY])
        session.execute("SET temp_directory = ?", [spill])
        yield session
