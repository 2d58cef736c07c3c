"""Compacted hours: materialising one merges the hour's small files, whether it is closed or not."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from logging import Logger
from typing import Any

import dagster as dg

from assets import keys
from assets.checks import check_specs, count_duplicates, duplicates_result, missing_objects, objects_result
from assets.compaction.compact import Choices
from assets.compaction.place import compact_hour_at
from assets.events import compaction_metadata
from assets.failures import fail_if_any
from assets.proof.checks import proof_check_specs, proof_results, unproven_result
from assets.proof.prover import Prover, proofs_of
from assets.proof.watermark import Watermark
from assets.resource import WarehouseResource
from assets.routes import WarehouseRoute, partition_hour
from keystone_platform.defs.references import code_reference
from keystone_platform.errors import KeystoneError
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.gateways.iceberg_files import HourTotals, live_entries, totals_by_hour
from keystone_platform.plan.compaction_place import Place

RETRIES = dg.RetryPolicy(max_retries=3, delay=5, backoff=dg.Backoff.EXPONENTIAL)
"""For a conflict with another writer and for servers that do not answer; harmless to repeat."""


def compacted_assets(routes: Iterable[WarehouseRoute]) -> list[dg.AssetsDefinition]:
    """Return the routes' compacted hours: one partition an hour, one run a partition, also in a backfill.

    Routes that begin together are one definition, since Dagster takes as long to load one as it takes to load many
    assets of one. In a run, one route's failure keeps no other from being compacted.
    """
    beginning: defaultdict[dg.HourlyPartitionsDefinition, list[WarehouseRoute]] = defaultdict(list)
    for route in routes:
        beginning[route.partitions].append(route)
    return [_assets(partitions, together) for partitions, together in beginning.items()]


def _assets(partitions: dg.HourlyPartitionsDefinition, routes: Sequence[WarehouseRoute]) -> dg.AssetsDefinition:
    by_key = {route.compacted: route for route in routes}

    @dg.multi_asset(
        name=f"compacted_since_{partitions.start:%Y_%m_%d_%H}",
        specs=[_spec(route) for route in routes],
        check_specs=[check for key in by_key for check in (*check_specs(key), *proof_check_specs(key))],
        partitions_def=partitions,
        can_subset=True,
        pool=keys.COMPACTION_POOL,
        retry_policy=RETRIES,
    )
    def compacted(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        hour = partition_hour(context.partition_key)
        failed: list[KeystoneError] = []
        for route in (route for key, route in by_key.items() if key in context.selected_asset_keys):
            try:
                yield materialise(warehouse, route, hour, context.log)
            except KeystoneError as error:
                failed.append(error)
        fail_if_any(failed)

    return compacted


def _spec(route: WarehouseRoute) -> dg.AssetSpec:
    declared = route.declared
    return dg.AssetSpec(
        route.compacted,
        deps=[route.landed],
        partitions_def=route.partitions,
        group_name=route.stream,
        owners=[declared.stream.owner],
        kinds={"iceberg", "parquet", "s3"},
        description=f"The hours of {route.table} with few large files, sorted by {_order(route)}.",
        metadata={keys.TABLE: route.table, **code_reference(declared.file, declared.line)},
    )


def _order(route: WarehouseRoute) -> str:
    return ", ".join((*route.sort_by, "topic", "partition")) + " and offset"


def materialise(
    warehouse: WarehouseResource, route: WarehouseRoute, hour: datetime, log: Logger
) -> dg.MaterializeResult[Any]:
    """Compact the hour, check what it holds then, and prove it; an hour without small files is only proven."""
    lake = warehouse.lake()
    objects = warehouse.objects()
    choices = Choices(sort_by=route.sort_by, remove=objects.delete)
    report = compact_hour_at(warehouse.settings(), os.environ, lake, route.table, hour, Place.AUTO, choices)
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
            *prove(warehouse, route, hour, log),
        ],
    )


def prove(
    warehouse: WarehouseResource, route: WarehouseRoute, hour: datetime, log: Logger
) -> list[dg.AssetCheckResult]:
    """Prove the hour and move the table's watermark; where Kafka or the ledger do not answer, a warning.

    What was compacted stays compacted: the proof sensor asks again in its next span.
    """
    try:
        settings = warehouse.settings()
        prover = Prover(settings, route.plan, proofs_of(settings), SystemClock())
        proof = prover.prove(hour)
    except KeystoneError as error:
        log.warning("not proven: %s", error)
        return [unproven_result(route.compacted, error)]
    watermark: Watermark | None = None
    try:
        watermark = prover.advance()
    except KeystoneError as error:  # the next proof moves it
        log.warning("the watermark stays: %s", error)
    return proof_results(route.compacted, proof, watermark)
