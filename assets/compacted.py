"""Compacted hours: materialising one merges the hour's small files, whether it is closed or not."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg

from assets import keys
from assets.checks import check_specs, count_duplicates, duplicates_result, missing_objects, objects_result
from assets.compaction.compact import compact_hour
from assets.events import compaction_metadata
from assets.resource import WarehouseResource
from assets.routes import WarehouseRoute, partition_hour
from keystone_platform.defs.references import code_reference
from keystone_platform.errors import InvalidSpec, Terminal
from keystone_platform.gateways.iceberg_files import HourTotals, live_entries, totals_by_hour

RETRIES = dg.RetryPolicy(max_retries=3, delay=5, backoff=dg.Backoff.EXPONENTIAL)
"""For a conflict with another writer and for servers that do not answer; harmless to repeat."""


def compacted_asset(route: WarehouseRoute) -> dg.AssetsDefinition:
    """Return the route's compacted hours: one partition an hour, one run a partition, also in a backfill."""
    declared = route.declared

    @dg.asset(
        key=route.compacted,
        deps=[route.landed],
        partitions_def=route.partitions,
        check_specs=check_specs(route.compacted),
        group_name=route.stream,
        owners=[declared.stream.owner],
        kinds={"iceberg", "parquet", "s3"},
        pool=keys.COMPACTION_POOL,
        retry_policy=RETRIES,
        description=f"The hours of {route.table} with few large files, sorted by topic, partition and offset.",
        metadata={keys.TABLE: route.table, **code_reference(declared.file, declared.line)},
    )
    def compacted(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        try:
            yield materialise(warehouse, route, partition_hour(context.partition_key))
        except (Terminal, InvalidSpec) as error:  # what else is raised may go better the next time
            raise dg.Failure(str(error), allow_retries=False) from error

    return compacted


def materialise(warehouse: WarehouseResource, route: WarehouseRoute, hour: datetime) -> dg.MaterializeResult[Any]:
    """Compact the hour and check what it holds then."""
    lake = warehouse.lake()
    objects = warehouse.objects()
    report = compact_hour(lake, route.table, hour, remove=objects.delete)
    table = lake.load(route.table)
    with lake.translated():
        totals = next(iter(totals_by_hour(table, {hour})), HourTotals(hour))
        files = [entry.data_file for entry in live_entries(table, {hour})]
    duplicates = count_duplicates(table.metadata_location, hour, warehouse.settings().s3)
    return dg.MaterializeResult(
        asset_key=route.compacted,
        metadata=compaction_metadata(report, totals),
        check_results=[
            duplicates_result(route.compacted, duplicates),
            objects_result(route.compacted, len(files), missing_objects(files, objects)),
        ],
    )
