"""Engines that read the scenario's table, each in its own way."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.session import open_session
from keystone_platform.settings import Settings
from tests.contract.lake_tables import TABLE
from tests.engines.checksum import Sums, sums
from tests.engines.scenario import leaves

Reader = Callable[[], Sums]

NOT_IN_SPARK = "_partition"
"""Iceberg's Spark runtime has a column of this name of its own, the partition that a row is in, and refuses ours."""


def in_process(settings: Settings) -> Mapping[str, Reader]:
    """Return the readers that need nothing beside this environment; each looks the table up anew."""

    def by_pyiceberg() -> Sums:
        table = IcebergLake(settings).load(TABLE)
        return sums(table.scan().to_arrow().to_pylist(), leaves(table))

    def by_duckdb() -> Sums:
        columns = leaves(IcebergLake(settings).load(TABLE))
        with open_session(settings, [TABLE]) as session:
            return sums(session.execute(f"FROM {TABLE}").to_arrow_table().to_pylist(), columns)

    return {"pyiceberg": by_pyiceberg, "DuckDB": by_duckdb}


@contextmanager
def spark(settings: Settings, python: Path, jars: Path, log: Path) -> Iterator[Reader]:
    """Start Spark with Iceberg's runtime on the same catalog, and yield the reader that asks it.

    Args:
        settings: with a SQL catalog in a SQLite file.
        python: interpreter of the environment with pyspark.
        jars: folder of Iceberg's Spark runtime and the SQLite driver.
        log: where Spark logs to.
    """
    catalog = settings.catalog
    options = {
        "database": catalog["uri"].removeprefix("sqlite:///"),
        "warehouse": catalog["warehouse"],
        "jars": ",".join(map(str, sorted(jars.glob("*.jar")))),
    }
    environment = {**os.environ, "PYSPARK_PYTHON": str(python), "SPARK_LOCAL_IP": "127.0.0.1"}
    environment.pop("PYTHONPATH", None)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [str(python), str(Path(__file__).with_name("spark_process.py")), json.dumps(options)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
        )

    def by_spark() -> Sums:
        columns = [column for column in leaves(IcebergLake(settings).load(TABLE)) if column != NOT_IN_SPARK]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"table": TABLE, "columns": columns, "without": NOT_IN_SPARK}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            message = f"Spark ended: {_told(log.read_text())}"
            raise AssertionError(message)
        return Sums(**json.loads(line))

    try:
        yield by_spark
    finally:
        process.communicate(timeout=60)


def _told(log: str) -> str:
    """Return the lines of Spark's log that say what was wrong, without the stack frames."""
    lines = [line for line in log.splitlines() if not line.lstrip().startswith(("at ", "... ", "File "))]
    return "\n".join(lines)[-4000:]
