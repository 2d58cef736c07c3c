"""The check of a day's loss, for who asks for it in the UI; the sensor evaluates it too."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

from collections.abc import Iterator, Sequence
from datetime import UTC

import dagster as dg

from assets import keys
from assets.produced.asset import REPORTED_DAYS, loss_check, loss_of
from assets.resource import WarehouseResource
from keystone_platform.audit.producers import take_all_counts
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.gateways.produced import SqlProduced
from keystone_platform.spec.fleet import LoadedStream


def loss_checks(streams: Sequence[LoadedStream]) -> dg.AssetChecksDefinition:
    """Return the checks of all streams as one definition."""
    by_key = {keys.produced_key(stream.spec.stream): stream.spec.stream for stream in streams}

    @dg.multi_asset_check(name="produced_loss", specs=[loss_check(stream) for stream in streams], can_subset=True)
    def produced_loss(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.AssetCheckResult]:
        clock, settings = SystemClock(), warehouse.settings()
        store = SqlProduced(settings.ledger_url, create=False)
        take_all_counts(warehouse.kafka(), store, clock)
        now = clock.now()
        found = store.days(now.astimezone(UTC).date() - REPORTED_DAYS, now)
        newest = {
            stream: (day, produced) for (stream, day), produced in sorted(found.items(), key=lambda each: each[0])
        }
        for check in context.selected_asset_check_keys:
            name = by_key[check.asset_key]
            yield dg.AssetCheckResult(
                asset_key=check.asset_key, check_name=keys.LOSS, **loss_of(*newest.get(name, (None, None)))
            )

    return produced_loss
