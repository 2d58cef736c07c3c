"""A stream's sent events as an external asset with a partition a day, and the check of what was lost on the way."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import dagster as dg

from assets import keys
from keystone_platform.defs.keys import topic_key
from keystone_platform.defs.references import code_reference
from keystone_platform.plan.produced import LOSS_LIMIT, Produced
from keystone_platform.spec.fleet import LoadedStream

DAY_FORMAT = "%Y-%m-%d"


def produced_asset(stream: LoadedStream) -> dg.AssetSpec:
    """Return what services sent of the stream, as an external asset."""
    spec = stream.spec
    return dg.AssetSpec(
        keys.produced_key(spec.stream),
        partitions_def=daily_partitions(spec.since.date()),
        group_name=spec.stream,
        owners=[spec.owner],
        kinds={"kafka"},
        description=f"Events of {spec.stream} that services handed to a KeystoneProducer, by the day of their "
        "timestamps (UTC): acknowledged, dropped with the reason, and the share that was lost.",
        metadata={
            "keystone/acks": spec.producer.acks,
            "keystone/topic": topic_key(spec.stream).to_user_string(),
            **code_reference(stream.file, stream.line),
        },
    )


def loss_check(stream: LoadedStream) -> dg.AssetCheckSpec:
    """Return the check of a day's loss; the sensor evaluates it."""
    return dg.AssetCheckSpec(
        keys.LOSS,
        asset=keys.produced_key(stream.spec.stream),
        description=f"Of the newest day's events at most {LOSS_LIMIT:.2%} were dropped before they reached Kafka.",
    )


def day_event(stream: LoadedStream, day: date, produced: Produced, now: datetime) -> Any:  # noqa: ANN401 - either event
    """Return the report of a day: a materialization where it is a partition of the stream, else an observation."""
    key, metadata = keys.produced_key(stream.spec.stream), day_metadata(produced)
    if stream.spec.since.date() <= day <= now.astimezone(UTC).date():
        return dg.AssetMaterialization(key, partition=day.strftime(DAY_FORMAT), metadata=metadata)
    return dg.AssetObservation(key, description="no partition of the stream", metadata={keys.DAY: str(day), **metadata})


def loss_result(stream: LoadedStream, day: date, produced: Produced) -> dg.AssetCheckEvaluation:
    """Return the outcome of the check for that day."""
    key = keys.produced_key(stream.spec.stream)
    return dg.AssetCheckEvaluation(asset_key=key, check_name=keys.LOSS, **loss_of(day, produced))


def loss_of(day: date | None, produced: Produced | None) -> dict[str, Any]:
    """Return what an outcome of the check says, however it is reported."""
    severity = dg.AssetCheckSeverity.WARN
    if produced is None:
        text = "no producer counted any of its events lately"
        return {"passed": True, "severity": severity, "description": text, "metadata": {}}
    dropped = ", ".join(f"{events:,} {reason}" for reason, events in produced.dropped.items() if events)
    return {
        "passed": produced.loss <= LOSS_LIMIT,
        "severity": severity,
        "description": f"{day}: dropped {dropped} of {produced.attempted:,}" if dropped else f"{day}: none dropped",
        "metadata": day_metadata(produced),
    }


def day_metadata(produced: Produced) -> dict[str, Any]:
    """Return the counts as metadata."""
    return {
        keys.ATTEMPTED: produced.attempted,
        keys.ACKNOWLEDGED: produced.acknowledged,
        keys.DROPPED: produced.dropped_total,
        keys.PENDING: produced.pending,
        keys.LOSS_RATIO: produced.loss,
        keys.PRODUCERS: produced.producers,
        keys.PRODUCERS_SILENT: produced.silent,
        **{keys.dropped_key(reason): events for reason, events in produced.dropped.items()},
        **{keys.acknowledged_key(cluster): events for cluster, events in produced.by_cluster.items()},
    }


@lru_cache
def daily_partitions(first: date) -> dg.DailyPartitionsDefinition:
    """Return the days from `first` on, today included; one object for all streams that begin together."""
    start = datetime.combine(first, datetime.min.time(), tzinfo=UTC)
    return dg.DailyPartitionsDefinition(start_date=start, timezone="UTC", end_offset=1)


REPORTED_DAYS = timedelta(days=5)
"""Days back in which counts may still change: a producer takes an event's time from at most four days ago."""
