"""The compaction sensor: finds hours with small files and asks for a run for each. It compacts nothing itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import dagster as dg

from assets import keys
from assets.compaction.select import HOUR, Policy, due_hours, mergeable
from assets.landed import BUDGET
from assets.progress import TableNews, read_cursor, tick, write_cursor
from assets.resource import WarehouseResource
from assets.routes import WarehouseRoute
from keystone_platform.errors import KeystoneError
from keystone_platform.gateways.clock import Clock, SystemClock
from keystone_platform.gateways.iceberg_files import HourTotals

INTERVAL_S = 60
"""Seconds between two looks at the tables."""

IN_FLIGHT = 10
"""Runs that may be queued or running; more hours wait for the next tick."""

RETRY_AFTER = timedelta(minutes=30)
"""A run that failed is asked for again in the next span of this length, if the hour is still due."""

Work = tuple[str, str]
"""A table and the partition key of one of its hours."""

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def waiting_hours(news: TableNews, now: datetime) -> tuple[datetime, ...]:
    """Return the hours to look at again: still open, or with small files that are not due or not merged yet.

    Any other is forgotten until it changes.
    """
    return tuple(
        total.hour
        for total in (hour.totals for hour in news.hours)
        if total.hour and (mergeable(total.small_sizes) or (total.files and now < total.hour + HOUR))
    )


def choose(
    due: Sequence[tuple[WarehouseRoute, HourTotals]], busy: Collection[Work], now: datetime
) -> list[dg.RunRequest]:
    """Return the requests of this tick: the hours with most small files first, none that is in flight already."""
    requests = []
    for route, totals in sorted(due, key=lambda item: -item[1].small_files):
        request = run_request(route, totals, now)
        if request and (route.table, request.partition_key) not in busy:
            requests.append(request)
    return requests[: max(0, IN_FLIGHT - len(busy))]


def run_request(route: WarehouseRoute, totals: HourTotals, now: datetime) -> dg.RunRequest | None:
    """Return the request to compact the hour, for its files as they are; None when it is no partition of the route."""
    return hour_request(route, totals.hour, now, "compaction", f"{totals.files}-{totals.bytes}-{totals.rows}")


def hour_request(
    route: WarehouseRoute, hour: datetime | None, now: datetime, kind: str, holds: str
) -> dg.RunRequest | None:
    """Return the request to work on an hour; None when it is no partition of the route.

    The run key names the work (its kind, table and hour), what the hour holds, and a span of time: nobody is asked
    twice for the same work, and a run that failed is asked for again in the next span.
    """
    partition = route.partition_of(hour, now)
    if partition is None:
        return None
    span = int(now.timestamp() // RETRY_AFTER.total_seconds())
    return dg.RunRequest(
        run_key=f"{kind}/{route.table}/{partition}/{holds}/{span}",
        partition_key=partition,
        asset_selection=[route.compacted],
        tags={keys.TABLE_TAG: route.table, keys.HOUR_TAG: partition},
    )


def compaction_sensor(
    routes: Sequence[WarehouseRoute], policy: Policy | None = None, clock: Clock | None = None
) -> dg.SensorDefinition:
    """Return the sensor over all routes."""
    by_table = {route.table: route for route in routes}
    policy = policy or Policy()
    clock = clock or SystemClock()

    @dg.sensor(
        name="compaction_sensor",
        description="Asks for compaction of hours that are over and have small files, late ones included.",
        target=dg.AssetSelection.assets(*(route.compacted for route in routes)),
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def compaction(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SensorResult:
        now = clock.now()
        cursor = read_cursor(context.cursor)
        busy = hours_in_flight(context.instance)
        due: list[tuple[WarehouseRoute, HourTotals]] = []
        news_of = tick(
            warehouse.lake(),
            list(by_table),
            cursor,
            is_over=lambda: clock.now() - now > BUDGET,
            keep=lambda news: waiting_hours(news, now),
        )
        try:
            for news, reached in news_of:
                cursor = reached
                totals = [hour.totals for hour in news.hours]
                due += [(by_table[news.table], total) for total in due_hours(totals, now, policy)]
        except KeystoneError as error:  # what was read before it counts all the same
            context.log.warning(str(error))
        return dg.SensorResult(run_requests=choose(due, busy, now), cursor=write_cursor(cursor))

    return compaction


def hours_in_flight(instance: dg.DagsterInstance) -> set[Work]:
    """Return the tables' hours that a queued or running run compacts."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    tagged = (run.tags for run in runs if keys.TABLE_TAG in run.tags)
    return {(tags[keys.TABLE_TAG], tags.get(keys.HOUR_TAG, "")) for tags in tagged}
