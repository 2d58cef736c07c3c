"""Checks of a compacted hour, evaluated in the run that compacted it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import dagster as dg
from pyiceberg.manifest import DataFile

from assets import keys
from keystone_platform.gateways.iceberg_schema import TIME_COLUMN
from keystone_platform.gateways.objects import ObjectStore
from keystone_platform.query.session import bare_session, translated
from keystone_platform.settings import S3Settings

HOUR = timedelta(hours=1)
MEMORY = "1GB"
"""What counting identities may use before it spills to disk."""

# our own names only; values are parameters
_DUPLICATES = f"""
SELECT coalesce(sum(copies - 1), 0) FROM (
  SELECT count(*) AS copies FROM iceberg_scan(?) WHERE "{TIME_COLUMN}" >= ? AND "{TIME_COLUMN}" < ?
  GROUP BY "_topic", "_partition", "_offset" HAVING count(*) > 1
)
"""


def check_specs(compacted: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return the checks of an asset of compacted hours."""
    return [
        dg.AssetCheckSpec(
            keys.NO_DUPLICATES,
            asset=compacted,
            description="No (topic, partition, offset) occurs twice among the rows of the hour.",
        ),
        dg.AssetCheckSpec(
            keys.OBJECTS_PRESENT,
            asset=compacted,
            description="The object store holds every file of the hour, with the size that the table says.",
        ),
    ]


def count_duplicates(metadata_location: str, hour: datetime, s3: S3Settings) -> int:
    """Return how many rows of the hour repeat the identity of another; reads three columns of that hour's files."""
    session = bare_session(s3)
    try:
        with translated(s3):
            session.execute("SET memory_limit = ?", [MEMORY])
            found = session.execute(_DUPLICATES, [metadata_location, hour, hour + HOUR]).fetchone()
    finally:
        session.close()
    return int(found[0]) if found else 0


def missing_objects(files: Iterable[DataFile], objects: ObjectStore) -> list[str]:
    """Return the files that the object store does not hold with the size that the table says."""
    return [file.file_path for file in files if objects.size(file.file_path) != file.file_size_in_bytes]


def duplicates_result(compacted: dg.AssetKey, duplicates: int) -> dg.AssetCheckResult:
    """Return the outcome of NO_DUPLICATES."""
    return dg.AssetCheckResult(
        asset_key=compacted,
        check_name=keys.NO_DUPLICATES,
        passed=duplicates == 0,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={keys.DUPLICATES: duplicates},
    )


def objects_result(compacted: dg.AssetKey, files: int, missing: list[str]) -> dg.AssetCheckResult:
    """Return the outcome of OBJECTS_PRESENT."""
    return dg.AssetCheckResult(
        asset_key=compacted,
        check_name=keys.OBJECTS_PRESENT,
        passed=not missing,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={keys.FILES: files, "keystone/missing": missing[:20]},
    )
