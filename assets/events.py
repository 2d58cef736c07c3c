"""An hour's totals as Dagster's events and metadata."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import dagster as dg

from assets import keys
from assets.compaction.compact import CompactionReport
from assets.progress import HourNews
from assets.routes import WarehouseRoute
from keystone_platform.gateways.iceberg_files import HourTotals


def landing_event(
    news: HourNews, route: WarehouseRoute, now: datetime, traffic: int | None = None
) -> dg.AssetMaterialization | dg.AssetObservation:
    """Return what is reported of a landed hour.

    New data in an hour that is a partition is a materialization of it. Upkeep (a compaction, or an hour dropped for its
    age, which has no rows then) brings no new data, and an hour that is no partition (before `since`, in the future,
    without a time) can't be materialized: these are observations. `traffic` are the events of the topic in that hour;
    None when nobody knows.
    """
    partition = route.partition_of(news.totals.hour, now)
    metadata = {
        **totals_metadata(news.totals),
        **traffic_metadata(news.totals.rows, traffic),
        keys.ROWS_ADDED: news.rows_added,
        **({} if news.late_rows is None else {keys.LATE_ROWS: news.late_rows}),
        keys.TABLE_ROWS: news.table_rows,
        keys.TABLE: news.table,
        keys.SNAPSHOT: str(news.snapshot),
    }
    if partition is None:
        hour = news.totals.hour
        described = {**metadata, keys.HOUR: hour.isoformat() if hour else "without a time"}
        return dg.AssetObservation(route.landed, description="no partition of the stream", metadata=described)
    if news.new_data:
        return dg.AssetMaterialization(route.landed, partition=partition, metadata=metadata)
    done = "compacted" if news.totals.files else "dropped for its age"
    return dg.AssetObservation(route.landed, partition=partition, description=done, metadata=metadata)


def totals_metadata(totals: HourTotals) -> dict[str, Any]:
    """Return an hour's totals as metadata; times only where they are known."""
    times = {keys.FIRST_TIME: totals.first_time, keys.LAST_TIME: totals.last_time}
    return {
        keys.ROWS: totals.rows,
        keys.PARTITION_ROWS: totals.rows,
        keys.FILES: totals.files,
        keys.BYTES: totals.bytes,
        keys.SMALL_FILES: totals.small_files,
        **{key: dg.MetadataValue.timestamp(time) for key, time in times.items() if time},
    }


def traffic_metadata(rows: int, traffic: int | None) -> dict[str, Any]:
    """Return the hour's traffic as metadata, and what share of it landed."""
    if traffic is None:
        return {}
    return {keys.TRAFFIC: traffic, **({keys.KEPT_RATIO: rows / traffic} if traffic else {})}


def compaction_metadata(report: CompactionReport, totals: HourTotals) -> dict[str, Any]:
    """Return what a compaction did, and what the hour holds after it."""
    return {
        **totals_metadata(totals),
        keys.ROWS_REWRITTEN: report.rows,
        keys.FILES_BEFORE: report.files_before,
        keys.FILES_AFTER: report.files_after,
        keys.BYTES_BEFORE: report.bytes_before,
        keys.BYTES_AFTER: report.bytes_after,
        keys.DUPLICATES: report.duplicates,
        keys.TABLE: report.table,
        keys.SNAPSHOT: str(report.snapshot_id) if report.snapshot_id else "nothing to compact",
    }
