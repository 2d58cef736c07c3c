"""Backfilled hours: materialising some runs their route again over them, in one run however many they are."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from assets import keys
from assets.backfill.backfill import BackfillReport, run
from assets.backfill.connect import connect
from assets.backfill.proof import Tell
from assets.failures import fail_if_any
from assets.resource import WarehouseResource
from assets.routes import WarehouseRoute, partition_hour
from keystone_platform.defs.keys import topic_key
from keystone_platform.defs.references import code_reference
from keystone_platform.errors import KeystoneError
from keystone_platform.gateways.clock import Clock
from keystone_platform.plan.backfill import Request, hours
from keystone_platform.plan.raw_table import refuse_unless_raw
from keystone_platform.plan.router_plan import RouterPlan

RETRIES = dg.RetryPolicy(max_retries=3, delay=10, backoff=dg.Backoff.EXPONENTIAL)
"""For servers that do not answer and tables that keep changing: a backfill goes on where it was."""

TELL_EVERY_S = 10.0


class BackfillConfig(dg.Config):
    """Where the run reads the events.

    Attributes:
        from_table: a raw table of the same topic, `namespace.table`; empty for Kafka.
    """

    from_table: str = ""


def backfill_assets(routes: Iterable[WarehouseRoute]) -> list[dg.AssetsDefinition]:
    """Return the routes' backfilled hours; routes that begin together are one definition (see compacted_assets)."""
    beginning: defaultdict[dg.HourlyPartitionsDefinition, list[WarehouseRoute]] = defaultdict(list)
    declared: dict[str, RouterPlan] = {}
    for route in routes:
        beginning[route.partitions].append(route)
        declared[route.table] = route.plan
    return [_assets(partitions, together, declared) for partitions, together in beginning.items()]


def _assets(
    partitions: dg.HourlyPartitionsDefinition, routes: Sequence[WarehouseRoute], declared: Mapping[str, RouterPlan]
) -> dg.AssetsDefinition:
    by_key = {keys.backfilled_key(route.stream, route.declared.route.route_name): route for route in routes}

    @dg.multi_asset(
        name=f"backfilled_since_{partitions.start:%Y_%m_%d_%H}",
        specs=[_spec(key, route) for key, route in by_key.items()],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
        pool=keys.BACKFILL_POOL,
        retry_policy=RETRIES,
    )
    def backfilled(
        context: dg.AssetExecutionContext, config: BackfillConfig, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        servers = connect(warehouse.settings())
        tell = _telling(context, servers.jobs.clock)
        table = config.from_table or None
        request = Request(times=hours(map(partition_hour, context.partition_keys)), from_table=table)
        failed: list[KeystoneError] = []
        for key in (key for key in by_key if key in context.selected_asset_keys):
            plan = by_key[key].plan
            try:
                if table:
                    refuse_unless_raw(table, plan, declared)
                report = run(servers, plan, request, tell)
            except KeystoneError as error:
                failed.append(error)
            else:
                yield dg.MaterializeResult(asset_key=key, metadata=_metadata(report))
        fail_if_any(failed)

    return backfilled


def _spec(key: dg.AssetKey, route: WarehouseRoute) -> dg.AssetSpec:
    declared = route.declared
    return dg.AssetSpec(
        key,
        deps=[topic_key(route.plan.source.topic)],
        partitions_def=route.partitions,
        group_name=route.stream,
        owners=[declared.stream.owner],
        kinds={"flink", "iceberg"},
        description=f"Hours of {route.table} that were run again, their rows replaced. Materialise some to mend them:"
        " after a wrong filter, or after somebody's delete. From Kafka, or from the raw table that the config names.",
        metadata={keys.TABLE: route.table, **code_reference(declared.file, declared.line)},
    )


def _metadata(report: BackfillReport) -> dict[str, Any]:
    left = [*map(str, report.outline.gone), *map(str, report.outline.unsettled)]
    return {
        keys.TABLE: report.table,
        keys.BACKFILL: report.branch,
        keys.ROWS_REMOVED: report.swapped.removed,
        keys.ROWS_BROUGHT: report.swapped.added,
        keys.ROWS_KEPT: report.swapped.kept,
        keys.EVENT_SOURCE: str(report.outline.source),
        keys.OFFSETS_READ: report.outline.scope.offsets,
        keys.OFFSETS_LEFT: ", ".join(left) or "none",
        keys.STANDING: ", ".join(each.told for each in report.proofs) or "not proven",
        keys.SNAPSHOT: str(report.swapped.snapshot_id) if report.swapped.snapshot_id else "nothing to replace",
    }


def _telling(context: dg.AssetExecutionContext, clock: Clock) -> Tell:
    """Return what logs how a run gets on, every few seconds."""
    told_at = 0.0

    def tell(line: str) -> None:
        nonlocal told_at
        if clock.now().timestamp() - told_at >= TELL_EVERY_S:
            told_at = clock.now().timestamp()
            context.log.info(line)

    return tell
