"""The sensor of what services sent: takes producers' audit events into the ledger and reports the days that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from assets.produced.asset import REPORTED_DAYS, day_event, loss_result
from assets.produced.clusters import primary_result, standby_of
from assets.resource import WarehouseResource
from keystone_platform.audit.producers import take_all_counts
from keystone_platform.errors import KeystoneError
from keystone_platform.gateways.clock import Clock, SystemClock
from keystone_platform.gateways.produced import Days, SqlProduced, Uses
from keystone_platform.plan.produced import ClusterUse, Produced
from keystone_platform.spec.fleet import LoadedStream

INTERVAL_S = 60

PAUSE = timedelta(minutes=15)
"""Between two reports of one day whose losses are the same: the event log keeps each of them."""


@dataclass(frozen=True)
class Reported:
    """What was last said of a day."""

    attempted: int
    acknowledged: int
    dropped: int
    at: datetime


@dataclass(frozen=True)
class ProducedCursor:
    """What was last said.

    Attributes:
        days: of each day, by `stream/day`.
        uses: of the clusters in use, by stream.
    """

    days: Mapping[str, Reported] = field(default_factory=dict)
    uses: Mapping[str, tuple[ClusterUse, ...]] = field(default_factory=dict)


_CURSOR = TypeAdapter(ProducedCursor)


def news(
    days: Days, streams: Mapping[str, LoadedStream], cursor: ProducedCursor, now: datetime
) -> tuple[list[tuple[LoadedStream, date, Produced]], ProducedCursor]:
    """Return the days to report and the cursor that holds once they are.

    A day is news when it was never reported, when its losses changed, or when other counts did and PAUSE has passed.
    Streams that nobody declares are left out.
    """
    found: list[tuple[LoadedStream, date, Produced]] = []
    kept: dict[str, Reported] = {}
    for (stream, day), produced in sorted(days.items(), key=lambda each: each[0]):
        if stream not in streams:
            continue
        place = f"{stream}/{day}"
        last = cursor.days.get(place)
        fresh = Reported(produced.attempted, produced.acknowledged, produced.dropped_total, now)
        if last is None or _is_news(last, fresh):
            found.append((streams[stream], day, produced))
            kept[place] = fresh
        else:
            kept[place] = last
    return found, replace(cursor, days=kept)


def moved(
    uses: Uses, streams: Mapping[str, LoadedStream], cursor: ProducedCursor
) -> tuple[list[dg.AssetCheckEvaluation], ProducedCursor]:
    """Return the checks of streams whose clusters in use changed, and the cursor that holds once they are reported.

    A stream that nobody sends any more is left as it was last said.
    """
    known = {stream: said for stream, said in cursor.uses.items() if stream in streams}
    fresh = {
        stream: said
        for stream, said in uses.items()
        if stream in streams and standby_of(streams[stream]) and known.get(stream) != said
    }
    found = [primary_result(streams[stream], said) for stream, said in fresh.items()]
    return found, replace(cursor, uses={**known, **fresh})


def _is_news(last: Reported, fresh: Reported) -> bool:
    if last.dropped != fresh.dropped:
        return True
    is_same = (last.attempted, last.acknowledged) == (fresh.attempted, fresh.acknowledged)
    return not is_same and fresh.at - last.at >= PAUSE


def produced_sensor(streams: Sequence[LoadedStream], clock: Clock | None = None) -> dg.SensorDefinition:
    """Return the sensor over all streams."""
    by_name = {stream.spec.stream: stream for stream in streams}
    clock = clock or SystemClock()

    @dg.sensor(
        name="produced_sensor",
        description="Reports what services sent and lost, by stream and day, as their producers counted it.",
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def produced(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SensorResult:
        now = clock.now()
        try:
            settings = warehouse.settings()
            store = SqlProduced(settings.ledger_url, create=False)
            take_all_counts(warehouse.kafka(), store, clock)
            days = store.days(now.astimezone(UTC).date() - REPORTED_DAYS, now)
            uses = store.uses(now)
        except KeystoneError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        found, cursor = news(days, by_name, _read(context.cursor), now)
        switched, cursor = moved(uses, by_name, cursor)
        events = [day_event(*each, now) for each in found]
        return dg.SensorResult(
            asset_events=[*events, *_checks(found), *switched], cursor=_CURSOR.dump_json(cursor).decode()
        )

    return produced


def _checks(found: Sequence[tuple[LoadedStream, date, Produced]]) -> list[Any]:
    """Return one outcome a stream, of its newest day."""
    newest = {stream.spec.stream: (stream, day, produced) for stream, day, produced in found}  # in order of the days
    return [loss_result(*each) for each in newest.values()]


def _read(text: str | None) -> ProducedCursor:
    try:
        return _CURSOR.validate_json(text) if text else ProducedCursor()
    except ValidationError:
        return ProducedCursor()
