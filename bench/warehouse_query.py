"""What a question costs over an hour of 360 small files and over the same hour compacted, read from real S3."""

from __future__ import annotations

import shutil
import statistics
import time
from pathlib import Path

from pyiceberg.table import Table

from assets.compaction.compact import compact_hour
from assets.compaction.data_file import new_path
from bench.warehouse_tables import COLUMNS, add, small_files
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.session import open_session
from keystone_platform.settings import Settings
from keystone_platform.stack.embedded import EmbeddedStack
from tests.contract.lake_tables import TEN, warehouse_plan

FILES = 360
"""One each ten seconds of an hour."""

ROWS = 3_000
PASSES = 5

SMALL, LARGE = "bench.small", "bench.compacted"

QUESTION = """
SELECT country, count(*) AS plays, sum(duration_ms) AS watched, count(DISTINCT user_id) AS viewers FROM {table}
WHERE duration_ms > 50000 AND device LIKE 'device 1%' GROUP BY country ORDER BY country
"""


def query_figures(folder: Path) -> tuple[float, float]:
    """Return the seconds of the question over small files and over the compacted hour.

    Each is asked in a new session, which knows no file yet; opening it (0.3 s) is not counted.

    Starts the embedded stack's S3 server and stops it. Medians; the two alternate.
    """
    stack = EmbeddedStack(folder / "stack", streams=folder / "streams", usual_ports=False)
    try:
        settings = stack.up(without=("kafka", "flink", "dagster")).settings
        lake = IcebergLake(settings)
        for name in (SMALL, LARGE):
            lake.ensure_table(warehouse_plan(*COLUMNS, table=name))
        made = small_files(lake.load(SMALL), folder / "made", FILES, ROWS)
        for name in (SMALL, LARGE):
            _upload(lake.load(name), made)
        compact_hour(lake, LARGE, TEN)
        times: dict[str, list[float]] = {SMALL: [], LARGE: []}
        for turn in range(PASSES + 1):
            for name, found in times.items():
                taken, _ = _ask(settings, name)
                if turn:
                    found.append(taken)
        assert _ask(settings, SMALL)[1] == _ask(settings, LARGE)[1]
        return statistics.median(times[SMALL]), statistics.median(times[LARGE])
    finally:
        stack.down()
        shutil.rmtree(folder / "stack", ignore_errors=True)


def _ask(settings: Settings, table: str) -> tuple[float, list[tuple[object, ...]]]:
    """Return the seconds of the question, and its answer."""
    with open_session(settings, [table]) as session:
        started = time.perf_counter()
        answer = session.execute(QUESTION.format(table=table)).fetchall()
        return time.perf_counter() - started, answer


def _upload(table: Table, paths: list[Path]) -> None:
    add(table, paths, per_commit=20, place=lambda path: _put(table, path))


def _put(table: Table, path: Path) -> str:
    uri = new_path(table, TEN)
    with table.io.new_output(uri).create() as sink:
        sink.write(path.read_bytes())
    return uri
