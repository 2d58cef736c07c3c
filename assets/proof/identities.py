"""Counts an hour's rows by (topic, partition, offset): a byte an offset, so exact, and no sort of ten million rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from assets.proof.gaps import Gaps, gaps_of, merged
from assets.proof.sample import Block
from keystone_platform.plan.hour_proof import Span

PASS_BYTES = 256 * 1024 * 1024
"""Offsets that are marked in one pass over the files; a byte each."""

BATCH_ROWS = 500_000

SPARSE = 1_000
"""Offsets for each row at most, where nobody but the rows says which range to mark."""

# our own names only; values are parameters
_GROUPS = """
SELECT "_topic", "_partition", count(*), min("_offset"), max("_offset"), count("_offset")
FROM read_parquet(?) GROUP BY ALL
"""

_IN = """
    ON rows."_topic" = blocks.topic AND rows."_partition" = blocks.part
    AND rows."_offset" >= blocks.low AND rows."_offset" < blocks.high
"""

_PLACES = f'SELECT blocks.base + rows."_offset" - blocks.low FROM read_parquet(?) AS rows JOIN blocks {_IN}'

_OUTSIDE = f"""
SELECT coalesce(sum(copies - 1), 0) FROM (
  SELECT count(*) AS copies FROM read_parquet(?) AS rows ANTI JOIN blocks {_IN}
  WHERE rows."_topic" IS NOT NULL AND rows."_partition" IS NOT NULL AND rows."_offset" IS NOT NULL
  GROUP BY rows."_topic", rows."_partition", rows."_offset" HAVING count(*) > 1
)
"""
"""Rows that came late, or before what Kafka has: few, and anywhere."""

_AROUND = """
SELECT count(*) FILTER ("_offset" >= high), count(*) FILTER ("_offset" < low)
FROM read_parquet(?) AS rows JOIN blocks ON rows."_topic" = blocks.topic AND rows."_partition" = blocks.part
"""


@dataclass(frozen=True)
class PartitionRows:
    """The hour's rows of one partition of a topic, from the smallest to the largest offset."""

    topic: str
    partition: int
    rows: int
    first: int
    last: int


@dataclass
class Found:
    """What the hour's files hold.

    Attributes:
        partitions: of rows that have an identity.
        rows: all of them.
        duplicates: rows that repeat another one's identity.
        gaps: offsets of the marked regions that no row has; empty where nobody asked.
    """

    partitions: tuple[PartitionRows, ...] = ()
    rows: int = 0
    duplicates: int = 0
    gaps: list[Gaps] = field(default_factory=list)

    def strangers(self, topics: Sequence[str]) -> int:
        """Return how many rows are of other topics, or of none."""
        return self.rows - sum(each.rows for each in self.partitions if each.topic in topics)


def count_identities(
    session: duckdb.DuckDBPyConnection, files: Sequence[str], spans: Sequence[Span], *, gaps: bool
) -> Found:
    """Count the rows of Parquet files by identity, and with `gaps` find the offsets of the spans that no row has.

    Where the beginning of a span has expired, the offsets from the first row on count as well. Reads three columns,
    twice, and once more for each PASS_BYTES offsets beyond the first. Holds PASS_BYTES beside what the session may use.
    Takes 2 s for ten million rows.

    Raises:
        duckdb.Error: see keystone_platform.query.session.translated.
    """
    found = _by_partition(session, files)
    regions = _regions(found, spans)
    asked = {(span.topic, span.partition) for span in spans}
    inside = 0
    for marked in _passes(regions):
        seen = np.zeros(sum(region.offsets for region in marked), np.uint8)
        rows = 0
        for places in _places(session, files, marked):
            seen[places] = 1
            rows += len(places)
        found.duplicates += rows - int(np.count_nonzero(seen))
        inside += rows
        if gaps:
            ours = [each for each in _gaps(seen, marked) if (each.topic, each.partition) in asked]
            found.gaps = merged([*found.gaps, *ours])
    if inside < found.rows:
        found.duplicates += _asked(session, _OUTSIDE, files, regions)[0]
    return found


def count_around(session: duckdb.DuckDBPyConnection, files: Sequence[str], spans: Sequence[Span]) -> tuple[int, int]:
    """Return how many rows are behind their partition's span, and how many before it."""
    blocks = [Block(span.topic, span.partition, span.begin, span.end) for span in spans]
    behind, before = _asked(session, _AROUND, files, blocks)
    return behind, before


def _by_partition(session: duckdb.DuckDBPyConnection, files: Sequence[str]) -> Found:
    groups = session.execute(_GROUPS, [list(files)]).fetchall() if files else []
    named = [
        PartitionRows(topic, partition, rows, first, last)
        for topic, partition, _, first, last, rows in groups
        if topic is not None and partition is not None and rows
    ]
    return Found(tuple(sorted(named, key=lambda each: (each.topic, each.partition))), sum(group[2] for group in groups))


def _regions(found: Found, spans: Sequence[Span]) -> tuple[Block, ...]:
    """Return the offsets to mark: the spans, and the rows' own range where a topic is not the route's."""
    held = {(each.topic, each.partition): each for each in found.partitions}
    regions = []
    for span in spans:
        rows = held.pop((span.topic, span.partition), None)
        begin = rows.first if rows and span.expired and _is_dense(rows, span.begin) else span.begin
        regions.append(Block(span.topic, span.partition, min(begin, span.begin), span.end))
    others = [rows for rows in held.values() if _is_dense(rows, rows.last + 1)]
    regions += [Block(rows.topic, rows.partition, rows.first, rows.last + 1) for rows in others]
    return tuple(region for region in regions if region.offsets)


def _is_dense(rows: PartitionRows, end: int) -> bool:
    return end - rows.first <= SPARSE * rows.rows


def _passes(regions: Sequence[Block]) -> Iterator[list[Block]]:
    chosen: list[Block] = []
    room = PASS_BYTES
    for region in regions:
        begin = region.begin
        while begin < region.end:
            end = min(region.end, begin + room)
            chosen.append(Block(region.topic, region.partition, begin, end))
            room -= end - begin
            begin = end
            if not room:
                yield chosen
                chosen, room = [], PASS_BYTES
    if chosen:
        yield chosen


def _places(
    session: duckdb.DuckDBPyConnection, files: Sequence[str], marked: Sequence[Block]
) -> Iterator[npt.NDArray[np.int64]]:
    if not files:
        return
    session.register("blocks", _table(marked))
    for batch in session.execute(_PLACES, [list(files)]).to_arrow_reader(BATCH_ROWS):
        yield batch.column(0).to_numpy()
    session.unregister("blocks")


def _asked(
    session: duckdb.DuckDBPyConnection, query: str, files: Sequence[str], blocks: Sequence[Block]
) -> tuple[int, ...]:
    session.register("blocks", _table(blocks))
    row = session.execute(query, [list(files)]).fetchone()
    session.unregister("blocks")
    return tuple(int(number) for number in row or ())


def _table(blocks: Sequence[Block]) -> pa.Table:
    bases = np.cumsum([0, *(block.offsets for block in blocks)])[:-1]
    return pa.table(
        {
            "topic": pa.array([block.topic for block in blocks], pa.string()),
            "part": pa.array([block.partition for block in blocks], pa.int32()),
            "low": pa.array([block.begin for block in blocks], pa.int64()),
            "high": pa.array([block.end for block in blocks], pa.int64()),
            "base": pa.array(bases, pa.int64()),
        }
    )


def _gaps(seen: npt.NDArray[np.uint8], marked: Sequence[Block]) -> Iterator[Gaps]:
    base = 0
    for region in marked:
        yield gaps_of(seen[base : base + region.offsets], region)
        base += region.offsets
