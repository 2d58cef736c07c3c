"""Real Iceberg tables on this machine's disk: a SQLite catalog, Parquet files, no server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.update.snapshot import ManageSnapshots

from assets.compaction.rewrite import write_files
from keystone_platform.gateways.iceberg_snapshots import PROVEN_TAG, PROVEN_UNTIL
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.router_plan import OutputColumn, RouterPlan, Source, WarehouseTarget
from keystone_platform.settings import S3Settings, Settings
from keystone_platform.spec.types import FieldType, Scalar

TEN = datetime(2026, 11, 1, 10, tzinfo=UTC)
ELEVEN = TEN + timedelta(hours=1)
TABLE = "events.playback"

Values = Mapping[str, Sequence[object]]
"""Values of columns, one a row."""

NO_VALUES: Values = MappingProxyType({})


def local_settings(folder: Path) -> Settings:
    """Settings whose warehouse is a folder."""
    return Settings(
        kafka={"bootstrap.servers": "127.0.0.1:1"},
        s3=S3Settings(endpoint="http://127.0.0.1:1", access_key_id="none", secret_access_key="none"),
        catalog={"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/warehouse"},
        flink_rest="http://127.0.0.1:1",
        dagster_url="http://127.0.0.1:1",
        ledger_url="sqlite://",
    )


def warehouse_plan(*columns: tuple[str, FieldType], table: str = TABLE, raw: bool = False) -> RouterPlan:
    """A warehouse plan of those columns; `user_id: bigint` by default."""
    chosen = () if raw else columns or (("user_id", Scalar.BIGINT),)
    return RouterPlan(
        route="playback.warehouse",
        stream="playback",
        source=Source(topic="playback", raw=raw),
        columns=tuple(OutputColumn(name=name, path=(name,), type=kind) for name, kind in chosen),
        target=WarehouseTarget(table=table),
        dead_letter_topic="playback.dlq",
        parallelism=1,
        checkpoint_interval_s=10,
    )


def land(
    table: Table,
    offsets: range,
    hour: datetime | None = TEN,
    partition: int = 0,
    files: int = 1,
    values: Values = NO_VALUES,
) -> None:
    """Append rows of these offsets as a router's commit does: `files` data files, one snapshot, one hour.

    They have the columns that the loaded table has, even if the table has others by now.
    """
    append(table, [rows(table, share, hour, partition, values) for share in _shares(offsets, files)], hour)


def append(table: Table, batches: Sequence[pa.Table], hour: datetime | None) -> None:
    """Add one snapshot with a data file for each batch of the table's columns, all of that hour."""
    written: list[DataFile] = []
    for batch in batches:
        written += write_files(table, batch.to_batches(), hour, target_bytes=1 << 30)
    table.refresh()
    with table.transaction() as transaction, transaction.update_snapshot().fast_append() as producer:
        for file in written:
            producer.append_data_file(file)


def prove(table: Table, until: datetime) -> None:
    """Prove the table as it is up to that time: tag and property, set in one commit."""
    table.refresh()
    snapshot = table.current_snapshot()
    assert snapshot is not None
    with table.transaction() as transaction:
        transaction.set_properties({PROVEN_UNTIL: until.isoformat()})
        ManageSnapshots(transaction).create_tag(snapshot.snapshot_id, PROVEN_TAG).commit()


def rows(
    table: Table,
    offsets: Sequence[int],
    hour: datetime | None = TEN,
    partition: int = 0,
    values: Values = NO_VALUES,
) -> pa.Table:
    """Rows with the table's columns: `values` by column, `user_id` from the offset, else null."""
    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    time = None if hour is None else [hour + timedelta(milliseconds=offset % 3_600_000) for offset in offsets]
    known: dict[str, object] = {
        "_guid": [f"guid-{partition}-{offset}" for offset in offsets],
        "_time": time,
        "_topic": ["playback"] * len(offsets),
        "_partition": [partition] * len(offsets),
        "_offset": list(offsets),
        "user_id": [offset % 97 for offset in offsets],
        **values,
    }
    arrays = [pa.array(known.get(field.name) or [None] * len(offsets), type=field.type) for field in schema]
    return pa.table(arrays, schema=schema)


def lake_with_table(folder: Path, *columns: tuple[str, FieldType]) -> tuple[IcebergLake, Table]:
    """A new lake in the folder and its one table, empty."""
    lake = IcebergLake(local_settings(folder))
    lake.ensure_table(warehouse_plan(*columns))
    return lake, lake.load(TABLE)


def _shares(offsets: range, files: int) -> list[range]:
    size = -(-len(offsets) // files)
    return [offsets[start : start + size] for start in range(0, len(offsets), size)]
