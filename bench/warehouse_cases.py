"""The measured cases of `make bench-warehouse`: `python -m bench.warehouse_cases CASE FOLDER GB`."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from pyiceberg.table import Table

from assets.compaction.columns import order_by
from assets.compaction.commit import replace_files
from assets.compaction.compact import compact_hour
from assets.compaction.plan import files_of
from assets.compaction.rewrite import COMPRESSION_LEVEL
from bench.control_cases import peak_memory_mb
from bench.warehouse_query import query_figures
from bench.warehouse_tables import add, copies, data_file, new_table, small_files
from keystone_platform.query.session import bare_session
from keystone_platform.settings import S3Settings
from tests.contract.lake_tables import TEN

PASSES = 3
"""Of what alternates; the first pair is a warm-up and does not count."""

NOWHERE = S3Settings(endpoint="http://127.0.0.1:1", access_key_id="none", secret_access_key="none")


@dataclass(frozen=True)
class Figure:
    """What a case measured.

    Attributes:
        reference: what it is compared with, in the same unit.
        ratio: how many times better than the reference it is.
        goal: what is to be reached: `ratio >= x` or `value < x`.
    """

    case: str
    value: float
    unit: str
    goal: str
    reference: float | None = None
    ratio: float | None = None

    def as_json(self) -> dict[str, object]:
        """Return the fields as they are written a line each."""
        return asdict(self)

    @property
    def is_reached(self) -> bool:
        """Whether the goal is kept."""
        field, sign, bound = self.goal.split()
        measured = self.ratio if field == "ratio" else self.value
        assert measured is not None
        return measured >= float(bound) if sign == ">=" else measured < float(bound)


Case = Callable[[Path, float], Iterator[Figure]]
"""Measures in an empty folder, with an hour of so many GB where the size matters."""


def main() -> None:
    """Run the case that the command line names."""
    name, folder, size = sys.argv[1:]
    for figure in CASES[name](Path(folder), float(size)):
        sys.stdout.write(json.dumps(figure.as_json()) + "\n")


def _throughput(folder: Path, _: float) -> Iterator[Figure]:
    """Compaction of 0.35 GB (60 files) beside a bare COPY of the same files in the same order, memory unbounded.

    The bare one has DuckDB's own settings for zstd, which is its level 3; and once more our level.
    """
    first = new_table(folder / "source", "events.source")[1]
    made = small_files(first, folder / "small", 60)
    size = sum(path.stat().st_size for path in made) / 1e6
    speeds: dict[str, list[float]] = {"bare": [], "our level": [], "ours": []}
    for turn in range(PASSES + 1):
        lake, table = new_table(folder / f"lake-{turn}", "events.playback")
        add(table, made)
        started = time.perf_counter()
        report = compact_hour(lake, "events.playback", TEN)
        taken = {"ours": time.perf_counter() - started}
        assert report.files_before == len(made)
        taken["bare"] = _bare_copy(first, made, folder / "bare.parquet")
        taken["our level"] = _bare_copy(
            first, made, folder / "bare.parquet", f", COMPRESSION_LEVEL {COMPRESSION_LEVEL}"
        )
        if turn:
            for name, seconds in taken.items():
                speeds[name].append(size / seconds)
    ours, bare, our_level = (statistics.median(speeds[name]) for name in ("ours", "bare", "our level"))
    yield Figure("compaction", ours, "MB/s", "ratio >= 0.8", bare, ours / bare)
    yield Figure("compaction, COPY at our level of zstd", ours, "MB/s", "ratio >= 0.65", our_level, ours / our_level)


def _bare_copy(table: Table, paths: Sequence[Path], target: Path, options: str = "") -> float:
    """Return the seconds of a COPY by hand."""
    listed = ", ".join(f"'{path}'" for path in paths)
    with closing(bare_session(NOWHERE)) as session:
        started = time.perf_counter()
        session.execute(
            f"COPY (SELECT * FROM read_parquet([{listed}]) ORDER BY {order_by(table.schema(), ())}) TO '{target}' "
            f"(FORMAT parquet, COMPRESSION zstd{options})"
        )
        return time.perf_counter() - started


def _memory(folder: Path, size: float) -> Iterator[Figure]:
    """Peak memory of a whole process that compacts one large hour; 0.35 GB of files, copied until it is as large."""
    lake, table = new_table(folder / "lake", "events.playback")
    add(table, copies(small_files(table, folder / "small", 60), int(size * 1e9)))
    before = peak_memory_mb("self")
    compact_hour(lake, "events.playback", TEN)
    peak = peak_memory_mb("self")
    yield Figure(f"peak memory, hour of {size:g} GB", max(before, peak), "MiB", "value < 1500")


def _commit(folder: Path, _: float) -> Iterator[Figure]:
    """Commit of a compaction of 360 files while the table holds 2,000, in merged and in unmerged manifests."""
    lake, table = new_table(folder / "lake", "events.playback")
    one = small_files(table, folder / "small", 1, rows=10)[0]
    links = []
    for number in range(2_000):
        links.append(one.with_name(f"link-{number}.parquet"))
        links[-1].hardlink_to(one)
    for hour in range(5):
        add(table, links[hour * 328 : (hour + 1) * 328], TEN - timedelta(hours=hour + 1))
    add(table, links[1640:], TEN, per_commit=18)
    old = list(files_of(table, TEN).values())
    merged = small_files(table, folder / "new", 1, rows=10 * len(old))[0]
    new = data_file(table, merged, TEN)
    loaded = lake.load("events.playback")
    started = time.perf_counter()
    replace_files(loaded, old, [new], TEN)
    yield Figure("commit, 2,000 files in the table", time.perf_counter() - started, "s", "value < 2")


def _landing(folder: Path, _: float) -> Iterator[Figure]:
    from bench.warehouse_landing import tick_seconds

    yield Figure("landing sensor tick, 200 tables", tick_seconds(folder, 200), "s", "value < 10")


def _audit(_folder: Path, _: float) -> Iterator[Figure]:
    from bench.warehouse_audit import audit_identities

    yield Figure("audit of 10 M rows", audit_identities(10_000_000), "s", "value < 5")


def _query(folder: Path, _: float) -> Iterator[Figure]:
    small, large = query_figures(folder)
    yield Figure("query, compacted hour", large, "s", "ratio >= 5", small, small / large)


CASES: Mapping[str, Case] = {
    "compaction": _throughput,
    "memory": _memory,
    "query": _query,
    "audit": _audit,
    "landing": _landing,
    "commit": _commit,
}

if __name__ == "__main__":
    main()
