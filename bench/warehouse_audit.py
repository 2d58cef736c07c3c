"""How fast an hour's identities are counted: `python -m bench.warehouse_audit`, ten million rows on local disk.

What is timed is what a proof does for (a): the table's manifests, three columns of the hour's files, duplicates and
gaps by (topic, partition, offset). Making the rows is not.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import Table

from assets.compaction.rewrite import write_files
from assets.proof.identities import count_identities
from assets.proof.prove import MEMORY
from keystone_platform.gateways.iceberg_files import live_entries
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.hour_proof import Span
from keystone_platform.plan.router_plan import OutputColumn, RouterPlan, Source, WarehouseTarget
from keystone_platform.query.session import bare_session
from keystone_platform.settings import S3Settings, Settings
from keystone_platform.spec.types import Scalar

HOUR = datetime(2026, 11, 1, 10, tzinfo=UTC)
TABLE = "bench.audited"
TOPIC = "audited"
PARTITIONS = 8
BATCH_ROWS = 250_000
FILE_BYTES = 64 * 1024 * 1024

REFERENCE_S = 5.0
"""What ten million rows may take."""


def audit_identities(rows: int) -> float:
    """Make an hour of so many rows, count its identities as a proof does, and return how many seconds that took."""
    with tempfile.TemporaryDirectory(prefix="keystone-bench-") as folder:
        settings = _settings(Path(folder))
        lake = IcebergLake(settings)
        lake.ensure_table(_plan())
        _land(lake.load(TABLE), rows // PARTITIONS)
        spans = [Span(topic=TOPIC, partition=each, begin=0, end=rows // PARTITIONS) for each in range(PARTITIONS)]
        started = time.monotonic()
        table = lake.load(TABLE)
        files = [entry.data_file.file_path for entry in live_entries(table, {HOUR})]
        with closing(bare_session(settings.s3)) as session:
            session.execute("SET memory_limit = ?", [MEMORY])
            found = count_identities(session, files, spans, gaps=True)
        took = time.monotonic() - started
    assert (found.rows, found.duplicates, found.gaps) == (rows // PARTITIONS * PARTITIONS, 0, [])
    return took


def _land(table: Table, rows: int) -> None:
    written = [
        file
        for partition in range(PARTITIONS)
        for file in write_files(table, _rows(table, partition, rows), HOUR, FILE_BYTES)
    ]
    with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
        for file in written:
            append.append_data_file(file)


def _rows(table: Table, partition: int, rows: int) -> Iterator[pa.RecordBatch]:
    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    for begin in range(0, rows, BATCH_ROWS):
        offsets = np.arange(begin, min(begin + BATCH_ROWS, rows))
        micros = int(HOUR.timestamp() * 1_000_000) + offsets * 3_600_000_000 // rows
        columns = {
            "_guid": pa.array([f"{partition:08x}-{offset:027x}" for offset in offsets.tolist()]),
            "_time": pa.array(micros, pa.timestamp("us", "UTC")),
            "_host": pa.array(["host-1"] * len(offsets)),
            "_app": pa.array(["player"] * len(offsets)),
            "_topic": pa.array([TOPIC] * len(offsets)),
            "_partition": pa.array(np.full(len(offsets), partition)),
            "_offset": pa.array(offsets),
            "user_id": pa.array(offsets * 2654435761 % 1_000_003),
        }
        yield pa.record_batch([columns[field.name].cast(field.type) for field in schema], schema=schema)


def _plan() -> RouterPlan:
    return RouterPlan(
        route="audited.warehouse",
        stream="audited",
        source=Source(topic=TOPIC),
        columns=(OutputColumn(name="user_id", path=("user_id",), type=Scalar.BIGINT),),
        target=WarehouseTarget(table=TABLE),
        dead_letter_topic="audited.dlq",
        parallelism=1,
        checkpoint_interval_s=10,
    )


def _settings(folder: Path) -> Settings:
    return Settings(
        kafka={"bootstrap.servers": "127.0.0.1:1"},
        s3=S3Settings(endpoint="http://127.0.0.1:1", access_key_id="none", secret_access_key="none"),
        catalog={"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/warehouse"},
        flink_rest="http://127.0.0.1:1",
        dagster_url="http://127.0.0.1:1",
        ledger_url="sqlite://",
    )


def main() -> None:
    """Print the seconds, and the process's peak memory, rows' making included."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    seconds = audit_identities(rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if os.environ.get("JSON"):
        shown = {"case": "audit_identities", "value": seconds, "unit": "s", "reference": REFERENCE_S}
        print(json.dumps({**shown, "ratio": seconds / REFERENCE_S}))
    else:
        print(f"identities of {rows:,} rows: {seconds:.2f} s (at most {REFERENCE_S:.0f} s), peak memory {peak:,.0f} MB")


if __name__ == "__main__":
    main()
