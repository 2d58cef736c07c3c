"""Compaction of an hour by the Flink cluster, for hours beyond one machine; what it wrote is judged here.

Iceberg's action rewrites and commits by itself, so the judgement comes after the commit: the rows of the files that
left the table are compared with those of the files that came. Where they differ the commit is undone by another one.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from assets.compaction.commit import restore_files
from assets.compaction.compact import CompactionReport
from assets.compaction.content import compare, readable
from assets.compaction.engine import Room, rewrite_session
from assets.compaction.plan import files_of
from assets.compaction.select import Policy
from assets.compaction.spill import spill_folder
from keystone_platform.errors import InvalidSpec, Terminal
from keystone_platform.gateways.flink_compaction import compact_on_flink
from keystone_platform.gateways.iceberg_snapshots import files_changed_by
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.settings import Settings

READ_THREADS = 2


def compact_hour_on_flink(
    settings: Settings,
    environment: Mapping[str, str],
    lake: IcebergLake,
    table: str,
    hour: datetime | None,
    policy: Policy | None = None,
) -> CompactionReport:
    """Merge the hour's small files in a bounded job on the cluster, in one commit, then compare the rows.

    Rows are merged, not sorted. A reader sees each row once at every moment; rows appended meanwhile stay. This process
    has to live until the job has ended, since it commits. Holds `policy.memory_bytes` at most.

    Raises:
        InvalidSpec: rows without a time, or routers without a session cluster.
        Terminal: the job failed; or it wrote other rows, and the files of before are back.
        Transient, UnknownOutcome: see compact_on_flink.
    """
    if hour is None:
        message = "rows without a time are no hour that Flink could be told"
        raise InvalidSpec(message, field="--on", mend="Use --on here.")
    if not settings.flink_rest:
        message = "there is no Flink session cluster: each router has a cluster of its own"
        raise InvalidSpec(message, field="--on", mend="Use --on here.")
    with lake.translated():
        before = files_of(lake.load(table), hour)
    job = uuid.uuid4().hex
    compact_on_flink(settings, environment, table, hour, job)
    loaded = lake.load(table)
    with lake.translated():
        gone, come, snapshot_id = files_changed_by(loaded, job)
        _judge(loaded, gone, come, hour, policy or Policy())
        after = files_of(loaded, hour)
    return CompactionReport(
        table=table,
        hour=hour,
        rows=sum(file.record_count for file in come),
        files_before=len(before),
        files_after=len(after),
        bytes_before=sum(file.file_size_in_bytes for file in before.values()),
        bytes_after=sum(file.file_size_in_bytes for file in after.values()),
        snapshot_id=snapshot_id,
        written=tuple(file.file_path for file in come),
    )


def _judge(table: Table, gone: Sequence[DataFile], come: Sequence[DataFile], hour: datetime, policy: Policy) -> None:
    """Demand that the files hold the same rows; undo the commit when they do not."""
    room = Room(policy.memory_bytes, READ_THREADS)
    try:
        with spill_folder() as spill, rewrite_session(table, room, spill) as session:
            before, after = readable(table, gone, spill / "before"), readable(table, come, spill / "after")
            compare(session, table.schema(), before, after)
    except Terminal:
        restore_files(table, come, gone, hour)
        raise
