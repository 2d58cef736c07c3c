"""Looks for rows of a segment in the table's other hours: late events, and those with a time ahead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from assets.proof.gaps import Gaps, merged, without
from keystone_platform.plan.hour_proof import HOUR

# three queries, each of which the bounds of files and row groups answer for most of the table
_OTHER_HOURS = ('"_time" < $begin', '"_time" >= $end', '"_time" IS NULL')

_ROWS = """
SELECT "_partition", "_offset" FROM iceberg_scan($location)
WHERE "_topic" = $topic AND "_offset" >= $low AND "_offset" < $high AND
"""


def without_rows_elsewhere(
    session: duckdb.DuckDBPyConnection, metadata_location: str, hour: datetime, gaps: Sequence[Gaps]
) -> list[Gaps]:
    """Return the gaps less the offsets that rows of other hours have.

    Raises:
        duckdb.Error: see keystone_platform.query.session.translated.
    """
    left: list[Gaps] = []
    for topic in dict.fromkeys(each.topic for each in gaps):
        of_topic = [each for each in gaps if each.topic == topic and len(each.ranges)]
        for condition in _OTHER_HOURS:
            if of_topic:
                rows = _rows(session, metadata_location, hour, of_topic, condition)
                of_topic = merged([without(each, _of_partition(rows, each.partition)) for each in of_topic])
        left += of_topic
    return left


def _rows(
    session: duckdb.DuckDBPyConnection, location: str, hour: datetime, gaps: Sequence[Gaps], condition: str
) -> pa.Table:
    values: dict[str, object] = {
        "location": location,
        "topic": gaps[0].topic,
        "low": min(each.first for each in gaps),
        "high": max(each.end for each in gaps),
    }
    times: dict[str, object] = {"begin": hour, "end": hour + HOUR}
    asked = {name: time for name, time in times.items() if f"${name}" in condition}
    return session.execute(_ROWS + condition, {**values, **asked}).to_arrow_table()


def _of_partition(rows: pa.Table, partition: int) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = rows.filter(pc.equal(rows.column("_partition"), partition))["_offset"].to_numpy()
    return found
