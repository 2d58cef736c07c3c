"""The warehouse routes of the declared streams, as the definitions of this code location need them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import dagster as dg

from assets.keys import compacted_key, landed_key
from keystone_platform.plan.plan_router import FleetPlan
from keystone_platform.plan.router_plan import RouterPlan, WarehouseTarget
from keystone_platform.spec.fleet import Fleet, LoadedRoute

PARTITION_FORMAT = "%Y-%m-%d-%H:%M"
"""Dagster's own format of hourly partitions."""

HOUR = timedelta(hours=1)

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class WarehouseRoute:
    """A route into a table, with the place where it is declared."""

    declared: LoadedRoute
    plan: RouterPlan
    table: str

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.declared.stream.stream

    @property
    def sort_by(self) -> tuple[str, ...]:
        """The columns that compaction sorts by before topic, partition and offset."""
        sink = self.declared.route.sink.warehouse
        return sink.sort_by if sink else ()

    @property
    def landed(self) -> dg.AssetKey:
        """The asset of the landed hours."""
        return landed_key(self.stream, self.declared.route.route_name)

    @property
    def compacted(self) -> dg.AssetKey:
        """The asset of the compacted hours."""
        return compacted_key(self.stream, self.declared.route.route_name)

    @property
    def partitions(self) -> dg.HourlyPartitionsDefinition:
        """One partition an hour from the stream's `since` to the present hour, UTC."""
        return hourly_partitions(first_hour(self.declared.stream.since))

    def partition_of(self, hour: datetime | None, now: datetime) -> str | None:
        """Return the hour's partition key; None for an hour before `since`, in the future, or no hour at all."""
        if hour is None or not first_hour(self.declared.stream.since) <= hour <= now:
            return None
        return hour.strftime(PARTITION_FORMAT)


def warehouse_routes(fleet: Fleet, planned: FleetPlan) -> tuple[WarehouseRoute, ...]:
    """Return the fleet's routes into tables; what can't be planned is logged, and hides nothing else."""
    for error in fleet.errors:
        _LOG.warning("not loaded: %s", error)
    found = []
    for route in planned.routes:
        if route.error:
            _LOG.warning("not loaded: %s", route.error)
        elif route.plan and isinstance(route.plan.target, WarehouseTarget):
            found.append(WarehouseRoute(route.loaded, route.plan, route.plan.target.table))
    return tuple(found)


def first_hour(since: datetime) -> datetime:
    """Return the first whole hour at or after `since`, UTC; a `since` without a zone is UTC."""
    utc = since.replace(tzinfo=UTC) if since.tzinfo is None else since.astimezone(UTC)
    whole = utc.replace(minute=0, second=0, microsecond=0)
    return whole if whole == utc else whole + HOUR


def partition_hour(key: str) -> datetime:
    """Return the start of a partition's hour, UTC."""
    return datetime.strptime(key, PARTITION_FORMAT).replace(tzinfo=UTC)


@lru_cache
def hourly_partitions(first: datetime) -> dg.HourlyPartitionsDefinition:
    """Return the hourly partitions from `first` on; one object for all streams that begin together."""
    return dg.HourlyPartitionsDefinition(start_date=first, timezone="UTC", end_offset=1)
