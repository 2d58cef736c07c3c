"""Which events a source holds: rows of others are none of its business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Held:
    """Identities of events: by topic and partition their offsets, in order. Eight bytes an event."""

    offsets: Mapping[tuple[str, int], Offsets]

    @classmethod
    def of(cls, session: duckdb.DuckDBPyConnection, table: str) -> Held:
        """Return the identities in a table with the columns topic, part and offset."""
        partitions = session.execute(f"SELECT DISTINCT topic, part FROM {table}").fetchall()
        query = f'SELECT "offset" FROM {table} WHERE topic = ? AND part = ? ORDER BY 1'
        return cls({(topic, part): _only(session.execute(query, [topic, part])) for topic, part in partitions})

    def mask(self, topics: pa.Array, partitions: pa.Array, offsets: pa.Array) -> pa.BooleanArray:
        """Return of each identity whether it is one of these; false where a part of it is null."""
        found = np.zeros(len(offsets), np.bool_)
        present = set(pc.unique(partitions).to_pylist())
        for (topic, partition), known in self.offsets.items():
            if partition not in present:
                continue
            place = pc.and_(pc.equal(partitions, partition), pc.equal(topics, topic))
            here = pc.fill_null(pc.and_(place, pc.is_valid(offsets)), False)
            (rows,) = np.nonzero(here.to_numpy(zero_copy_only=False))
            asked = offsets.take(pa.array(rows)).to_numpy(zero_copy_only=False)
            nearest = np.minimum(np.searchsorted(known, asked), len(known) - 1)
            found[rows] = known[nearest] == asked
        return pa.array(found, pa.bool_())


def _only(answer: duckdb.DuckDBPyConnection) -> Offsets:
    (column,) = answer.fetchnumpy().values()
    return np.asarray(column, np.int64)
