"""The checks of what services sent, for who asks for them in the UI; the sensor evaluates them too."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

from collections.abc import Iterator, Sequence
from datetime import UTC

import dagster as dg

from assets import keys
from assets.produced.asset import REPORTED_DAYS, loss_check, loss_of
from assets.produced.clusters import judged, primary_check, standby_of
from assets.resource import WarehouseResource
from keystone_platform.audit.producers import take_all_counts
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.gateways.produced import SqlProduced
from keystone_platform.spec.fleet import LoadedStream


def produced_checks(streams: Sequence[LoadedStream]) -> dg.AssetChecksDefinition:
    """Return the checks of all streams as one definition."""
    by_key = {keys.produced_key(stream.spec.stream): stream for stream in streams}
    specs = [*map(loss_check, streams), *(primary_check(stream) for stream in streams if standby_of(stream))]

    @dg.multi_asset_check(name="produced_checks", specs=specs, can_subset=True)
    def produced(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.AssetCheckResult]:
        clock, settings = SystemClock(), warehouse.settings()
        store = SqlProduced(settings.ledger_url, create=False)
        take_all_counts(warehouse.kafka(), store, clock)
        now = clock.now()
        found = store.days(now.astimezone(UTC).date() - REPORTED_DAYS, now)
        newest = {stream: (day, counts) for (stream, day), counts in sorted(found.items(), key=lambda each: each[0])}
        uses = store.uses(now)
        for check in context.selected_asset_check_keys:
            stream = by_key[check.asset_key]
            if check.name == keys.LOSS:
                outcome = loss_of(*newest.get(stream.spec.stream, (None, None)))
            else:
                outcome = judged(stream, uses.get(stream.spec.stream, ()))
            yield dg.AssetCheckResult(asset_key=check.asset_key, check_name=check.name, **outcome)

    return produced
