"""Landed hours: external assets, filled by the routers; one sensor reports what came."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import dagster as dg
from pyiceberg.types import StructType

from assets import keys
from assets.events import landing_event
from assets.progress import HourNews, read_cursor, tick, write_cursor
from assets.resource import WarehouseResource
from assets.routes import WarehouseRoute
from keystone_platform.defs.keys import router_key
from keystone_platform.defs.references import code_reference
from keystone_platform.errors import KeystoneError
from keystone_platform.gateways.clock import Clock, SystemClock
from keystone_platform.gateways.iceberg_schema import table_schema
from keystone_platform.gateways.kafka import Moment
from keystone_platform.gateways.traffic import traffic

INTERVAL_S = 15
"""Seconds between two looks at the tables."""

BUDGET = timedelta(seconds=35)
"""A tick begins no other table after that; Dagster ends a tick that takes a minute."""


def landed_asset(route: WarehouseRoute) -> dg.AssetSpec:
    """Return the route's landed rows as an external asset with a partition an hour."""
    declared = route.declared
    return dg.AssetSpec(
        route.landed,
        deps=[router_key(declared.id)],
        partitions_def=route.partitions,
        group_name=route.stream,
        owners=[declared.stream.owner],
        kinds={"iceberg", "parquet", "s3"},
        code_version=route.plan.digest,
        freshness_policy=freshness(declared.stream.fresh_within_s),
        description=f"Rows of {route.stream} in the table {route.table}, by the hour of their event time.",
        metadata={**table_metadata(route), **code_reference(declared.file, declared.line)},
    )


def freshness(within_s: int | None) -> dg.FreshnessPolicy | None:
    """Return what Dagster holds the newest landed rows to: a warning after half of the time, a failure after all."""
    if within_s is None:
        return None
    fail = timedelta(seconds=within_s)
    return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=fail / 2 if within_s >= 120 else None)


def table_metadata(route: WarehouseRoute) -> dict[str, object]:
    """Return what is known of the route's table before it exists."""
    columns = [
        dg.TableColumn(
            field.name, type=str(field.field_type) if not isinstance(field.field_type, StructType) else "struct"
        )
        for field in table_schema(route.plan).fields
    ]
    return {
        keys.TABLE: route.table,
        "dagster/table_name": route.table,
        "dagster/uri": f"iceberg://{route.table.replace('.', '/')}",
        "dagster/column_schema": dg.TableSchema(columns=columns),
    }


def landing_sensor(routes: Sequence[WarehouseRoute], clock: Clock | None = None) -> dg.SensorDefinition:
    """Return the sensor that reports, for all tables, the hours that changed since its last look."""
    by_table = {route.table: route for route in routes}
    clock = clock or SystemClock()

    @dg.sensor(
        name="landing_sensor",
        description="Reports the hours that got new rows: rows, files, bytes, read from the tables' metadata.",
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def landing(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SensorResult:
        now = clock.now()
        cursor = read_cursor(context.cursor)
        found: list[HourNews] = []
        skipped = None
        try:
            for news, reached in tick(warehouse.lake(), list(by_table), cursor, lambda: clock.now() - now > BUDGET):
                cursor = reached
                found += news.hours
        except KeystoneError as error:  # what was read before it is reported all the same
            context.log.warning(str(error))
            skipped = str(error)
        events = _events(found, by_table, warehouse, now, context.log)
        if events or not skipped:
            return dg.SensorResult(asset_events=events, cursor=write_cursor(cursor))
        return dg.SensorResult(skip_reason=skipped, cursor=write_cursor(cursor))

    return landing


def _events(
    found: Sequence[HourNews],
    by_table: Mapping[str, WarehouseRoute],
    warehouse: WarehouseResource,
    now: datetime,
    log: logging.Logger,
) -> list[dg.AssetMaterialization | dg.AssetObservation]:
    topics = {(topic, news.totals.hour) for news in found for topic in by_table[news.table].plan.source.event_topics}
    came: Mapping[Moment, int] = {}
    try:
        came = traffic(warehouse.kafka(), [(topic, hour) for topic, hour in topics if hour]) if topics else {}
    except KeystoneError as error:  # hours are reported without their traffic
        log.warning(str(error))
    events = []
    for news in found:
        route, hour = by_table[news.table], news.totals.hour
        known = [came[topic, hour] for topic in route.plan.source.event_topics if hour and (topic, hour) in came]
        events.append(landing_event(news, route, now, sum(known) if known else None))
    return events
