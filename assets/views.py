"""`warehouse.duckdb` as an asset, and the sensor that asks for a new one when a table changed."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from assets import keys
from assets.failures import fail_if_any
from assets.landed import BUDGET
from assets.resource import WarehouseResource
from assets.routes import WarehouseRoute
from keystone_platform.errors import KeystoneError
from keystone_platform.gateways.clock import Clock, SystemClock
from keystone_platform.gateways.lake import Lake
from keystone_platform.query.warehouse_file import FILE, refresh, state_of
from keystone_platform.settings import home_folder

INTERVAL_S = 300
"""Seconds between two looks at the tables, and so the age that the file's rows have at most, but for the run itself."""

RETRY_AFTER = timedelta(minutes=30)
"""A run that failed is asked for again in the next span of this length, or when a table changes."""

RETRIES = dg.RetryPolicy(max_retries=3, delay=5, backoff=dg.Backoff.EXPONENTIAL)
"""For servers that do not answer; harmless to repeat."""


def views_asset(routes: Sequence[WarehouseRoute]) -> dg.AssetsDefinition:
    """Return the asset of the file with a view a table."""

    @dg.asset(
        key=keys.VIEWS_KEY,
        deps=[route.landed for route in routes],
        group_name="analysts",
        kinds={"duckdb", "iceberg", "s3"},
        description="A DuckDB file with a view per table, as of one moment; `docs/analysts.md` shows how to attach it.",
        retry_policy=RETRIES,
    )
    def warehouse_duckdb(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult[Any]:
        file = home_folder(os.environ) / FILE
        failed: list[KeystoneError] = []
        try:
            done = refresh(warehouse.settings(), file, SystemClock(), warehouse.objects())
        except KeystoneError as error:
            failed.append(error)
        fail_if_any(failed)
        return dg.MaterializeResult(
            metadata={
                keys.VIEWS: done.views,
                keys.STATE: done.state,
                keys.FILE: dg.MetadataValue.path(str(file)),
                keys.PUBLISHED: done.published,
            }
        )

    return warehouse_duckdb


def views_sensor(clock: Clock | None = None) -> dg.SensorDefinition:
    """Return the sensor that asks for the file to be made anew; it writes nothing itself."""
    clock = clock or SystemClock()

    @dg.sensor(
        name="views_sensor",
        description="Asks for a new warehouse.duckdb when a table has got new rows, columns or proofs.",
        target=dg.AssetSelection.assets(keys.VIEWS_KEY),
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def views(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SensorResult:
        began = clock.now()
        try:
            state = tables_state(warehouse.lake(), lambda: clock.now() - began > BUDGET)
        except KeystoneError as error:
            return dg.SensorResult(skip_reason=str(error))
        if state is None:
            return dg.SensorResult(skip_reason="there is no table yet")
        if state == _shown(context.instance):
            return dg.SensorResult(skip_reason="no table has changed")
        span = int(began.timestamp() // RETRY_AFTER.total_seconds())
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"views/{state}/{span}")])

    return views


def tables_state(lake: Lake, is_over: Callable[[], bool]) -> str | None:
    """Return what tells this state of the tables from another; None without tables, `unknown` when time is over."""
    sources: dict[str, str] = {}
    for table in lake.tables():
        if is_over():
            return "unknown"
        head = lake.head(table)
        if head is not None:
            sources[table] = head.metadata_location
    return state_of(sources) if sources else None


def _shown(instance: dg.DagsterInstance) -> object:
    """Return the state of the tables that the newest file shows."""
    event = instance.get_latest_materialization_event(keys.VIEWS_KEY)
    made = event.asset_materialization if event else None
    return made.metadata[keys.STATE].value if made and keys.STATE in made.metadata else None
