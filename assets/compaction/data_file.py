"""What Iceberg wants to know of a written Parquet file: its place, its partition, and the statistics of its footer."""

from __future__ import annotations

import uuid
from datetime import datetime

from pyarrow.parquet import FileMetaData
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import Table
from pyiceberg.typedef import Record

from keystone_platform.gateways.iceberg_files import hour_ordinal


def new_path(table: Table, hour: datetime | None) -> str:
    """Return a URI that no other file of the table has, in the hour's folder and with the table's hashed prefix."""
    folder = table.spec().partition_to_path(_partition(hour), table.schema())
    return table.location_provider().new_data_location(f"{folder}/compacted-{uuid.uuid4()}.parquet")


def described(table: Table, path: str, size: int, footer: FileMetaData, hour: datetime | None) -> DataFile:
    """Return the file as a commit takes it, its columns found by the table's present schema."""
    schema = table.schema()
    statistics = data_file_statistics_from_parquet_metadata(
        parquet_metadata=footer,
        stats_columns=compute_statistics_plan(schema, table.properties),
        parquet_column_mapping=parquet_path_to_id_mapping(schema),
    )
    file = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=_partition(hour),
        file_size_in_bytes=size,
        sort_order_id=None,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )
    file.spec_id = table.spec().spec_id
    return file


def _partition(hour: datetime | None) -> Record:
    return Record(None if hour is None else hour_ordinal(hour))
