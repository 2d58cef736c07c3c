"""A table that holds some of another table's files, for as long as a rewrite reads them.

A file that is older than a column, or that knows it by another name or a narrower type, is read by Iceberg's rules
(field ids) only through table metadata. So metadata that names exactly these files is written to a local folder, and
the same reader is used that analysts have. Nothing of it reaches the catalog or the object store.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import (
    DataFile,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    write_manifest,
    write_manifest_list,
)
from pyiceberg.table import Table
from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRef, SnapshotRefType
from pyiceberg.table.snapshots import Operation, Snapshot, Summary

_SNAPSHOT = 1
_SEQUENCE = 1
_CODEC: Literal["deflate"] = "deflate"


_HEAD = SnapshotRef(
    snapshot_id=_SNAPSHOT,
    snapshot_ref_type=SnapshotRefType.BRANCH,
    min_snapshots_to_keep=None,
    max_snapshot_age_ms=None,
    max_ref_age_ms=None,
)


def write_excerpt(table: Table, files: Sequence[DataFile], folder: Path) -> str:
    """Write metadata of `table` with these files only into an empty folder; return where `iceberg_scan` finds it."""
    io = PyArrowFileIO()
    manifests = _manifests(table, files, folder, io)
    listed = f"{folder}/list.avro"
    with write_manifest_list(2, io.new_output(listed), _SNAPSHOT, None, _SEQUENCE, _CODEC) as manifest_list:
        manifest_list.add_manifests(manifests)
    metadata = table.metadata
    snapshot = Snapshot(
        snapshot_id=_SNAPSHOT,
        sequence_number=_SEQUENCE,
        timestamp_ms=metadata.last_updated_ms,
        manifest_list=listed,
        summary=Summary(Operation.APPEND),
        schema_id=metadata.current_schema_id,
    )
    excerpt = metadata.model_copy(
        update={
            "snapshots": [snapshot],
            "current_snapshot_id": _SNAPSHOT,
            "last_sequence_number": _SEQUENCE,
            "refs": {MAIN_BRANCH: _HEAD},
            "snapshot_log": [],
            "metadata_log": [],
            "statistics": [],
            "partition_statistics": [],
        }
    )
    written = folder / "excerpt.metadata.json"
    written.write_text(excerpt.model_dump_json())
    return str(written)


def _manifests(table: Table, files: Sequence[DataFile], folder: Path, io: FileIO) -> list[ManifestFile]:
    by_spec: defaultdict[int, list[DataFile]] = defaultdict(list)
    for file in files:
        by_spec[file.spec_id].append(file)
    found = []
    for spec_id, together in by_spec.items():
        output = io.new_output(f"{folder}/manifest-{spec_id}.avro")
        with write_manifest(2, table.specs()[spec_id], table.schema(), output, _SNAPSHOT, _CODEC) as writer:
            for file in together:
                writer.add_entry(
                    ManifestEntry.from_args(
                        status=ManifestEntryStatus.EXISTING,
                        snapshot_id=_SNAPSHOT,
                        sequence_number=_SEQUENCE,
                        file_sequence_number=_SEQUENCE,
                        data_file=file,
                    )
                )
        found.append(writer.to_manifest_file())
    return found
