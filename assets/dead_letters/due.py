"""The sensor of all streams' dead letters: asks for a landing where a topic has grown. It lands nothing itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from assets import keys
from assets.dead_letters.asset import DeadLetterStream
from assets.due import RETRY_AFTER, UNFINISHED
from assets.resource import WarehouseResource
from keystone_platform.errors import KeystoneError
from keystone_platform.gateways.clock import Clock, SystemClock

INTERVAL_S = 30
"""Seconds between two looks at the topics."""

PAUSE = timedelta(minutes=5)
"""Between two landings of one stream: each makes a file, and nobody compacts these."""

IN_FLIGHT = 10
"""Runs that may be queued or running; more streams wait for the next tick."""


@dataclass(frozen=True)
class Landed:
    """What the last landing of a stream said.

    Attributes:
        reached: sum over the partitions of the offsets that are landed.
        at: when it was.
    """

    reached: int
    at: datetime


def choose(
    streams: Sequence[DeadLetterStream],
    ends: Mapping[str, int],
    landed: Mapping[str, Landed],
    busy: Collection[str],
    now: datetime,
) -> list[dg.RunRequest]:
    """Return the requests of this tick: streams whose topic is not as landed, those that wait longest first.

    Args:
        streams: those whose events can die.
        ends: by topic, the sum of where its partitions end; a topic that does not exist is left out.
        landed: by stream.
        busy: streams that a queued or running run is landing.
        now: the time, UTC.
    """
    never = datetime.min.replace(tzinfo=UTC)
    due = [each for each in streams if each.stream not in busy and _is_due(each, ends, landed.get(each.stream), now)]
    due.sort(key=lambda each: landed[each.stream].at if each.stream in landed else never)
    return [_request(each, _end(each, ends) or 0, now) for each in due[: max(0, IN_FLIGHT - len(busy))]]


def _is_due(stream: DeadLetterStream, ends: Mapping[str, int], last: Landed | None, now: datetime) -> bool:
    end = _end(stream, ends)
    if end is None or last is None:
        return bool(end)
    return end != last.reached and now - last.at >= PAUSE


def _end(stream: DeadLetterStream, ends: Mapping[str, int]) -> int | None:
    """Return the sum of where its topics end, one a cluster; None where there is none."""
    known = [ends[topic] for topic in stream.topics if topic in ends]
    return sum(known) if known else None


def _request(stream: DeadLetterStream, end: int, now: datetime) -> dg.RunRequest:
    span = int(now.timestamp() // RETRY_AFTER.total_seconds())  # a run that failed is asked for again in the next one
    return dg.RunRequest(
        run_key=f"{stream.stream}/{end}/{span}",
        asset_selection=[stream.key],
        tags={keys.DEAD_LETTERS_TAG: stream.stream},
    )


def dead_letter_sensor(streams: Sequence[DeadLetterStream], clock: Clock | None = None) -> dg.SensorDefinition:
    """Return the sensor over all streams."""
    clock = clock or SystemClock()

    @dg.sensor(
        name="dead_letter_sensor",
        description="Asks for a landing of dead letters where a stream has new ones.",
        target=dg.AssetSelection.assets(*(stream.key for stream in streams)),
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def dead_letters(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SensorResult:
        try:
            ends = warehouse.kafka().ends([topic for stream in streams for topic in stream.topics])
        except KeystoneError as error:
            return dg.SensorResult(skip_reason=str(error))
        busy = streams_in_flight(context.instance)
        requests = choose(streams, ends, last_landings(context.instance, streams), busy, clock.now())
        return dg.SensorResult(run_requests=requests)

    return dead_letters


def streams_in_flight(instance: dg.DagsterInstance) -> set[str]:
    """Return the streams that a queued or running run is landing."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    return {run.tags[keys.DEAD_LETTERS_TAG] for run in runs if keys.DEAD_LETTERS_TAG in run.tags}


def last_landings(instance: dg.DagsterInstance, streams: Sequence[DeadLetterStream]) -> dict[str, Landed]:
    """Return by stream what its newest landing said, in one query."""
    by_key = {stream.key: stream.stream for stream in streams}
    found = {}
    for key, event in instance.get_latest_materialization_events(list(by_key)).items():
        materialization = event.asset_materialization if event else None
        reached = materialization.metadata.get(keys.REACHED) if materialization else None
        if event and reached is not None and isinstance(reached.value, int):
            found[by_key[key]] = Landed(reached.value, datetime.fromtimestamp(event.timestamp, UTC))
    return found
