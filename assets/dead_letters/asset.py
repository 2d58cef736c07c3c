"""A stream's landed dead letters as an asset: materialising it lands what the topic has beyond the table."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets import keys
from assets.dead_letters.land import Landing, land
from assets.dead_letters.table import table_name
from assets.failures import fail_if_any
from assets.resource import WarehouseResource
from keystone_platform.defs.keys import topic_key
from keystone_platform.defs.references import code_reference
from keystone_platform.errors import KeystoneError, Transient
from keystone_platform.plan.plan_router import FleetPlan
from keystone_platform.spec.clusters import standby_topic
from keystone_platform.spec.fleet import Fleet, LoadedStream

RETRIES = dg.RetryPolicy(max_retries=3, delay=5, backoff=dg.Backoff.EXPONENTIAL)
"""For servers that do not answer; harmless to repeat."""


@dataclass(frozen=True)
class DeadLetterStream:
    """A stream whose events can die."""

    declared: LoadedStream

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.declared.spec.stream

    @property
    def topic(self) -> str:
        """The topic of its dead letters on the primary cluster."""
        return self.declared.spec.dead_letter_topic

    @property
    def standby(self) -> str | None:
        """The stream's standby cluster."""
        return self.declared.routes[0].clusters[1]

    @property
    def topics(self) -> dict[str, str | None]:
        """The topics of its dead letters, each with the standby cluster that it is on."""
        both: dict[str, str | None] = {self.topic: None}
        return both | ({standby_topic(self.standby, self.topic): self.standby} if self.standby else {})

    @property
    def key(self) -> dg.AssetKey:
        """The asset of its landed dead letters."""
        return keys.dead_letters_key(self.stream)


def dead_letter_streams(fleet: Fleet, planned: FleetPlan) -> tuple[DeadLetterStream, ...]:
    """Return the streams of which a route decodes events, in the fleet's order."""
    decoding = {plan.stream for plan in planned.plans if not plan.source.raw}
    return tuple(DeadLetterStream(stream) for stream in fleet.streams if stream.spec.stream in decoding)


def dead_letter_assets(streams: Sequence[DeadLetterStream]) -> dg.AssetsDefinition:
    """Return an asset a stream, as one definition: Dagster takes as long to load one asset of its own."""
    by_key = {stream.key: stream for stream in streams}

    @dg.multi_asset(
        name="dead_letters",
        specs=[_spec(stream) for stream in streams],
        can_subset=True,
        pool=keys.DEAD_LETTER_POOL,
        retry_policy=RETRIES,
    )
    def dead_letters(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        failed: list[KeystoneError] = []
        for stream in (stream for key, stream in by_key.items() if key in context.selected_asset_keys):
            try:
                yield _landed(context, warehouse, stream)
            except KeystoneError as error:  # the other streams' letters are landed all the same
                failed.append(error)
        fail_if_any(failed)

    return dead_letters


def _spec(stream: DeadLetterStream) -> dg.AssetSpec:
    spec = stream.declared.spec
    return dg.AssetSpec(
        stream.key,
        deps=[topic_key(stream.stream)],
        group_name=stream.stream,
        owners=[spec.owner],
        kinds={"iceberg", "parquet", "s3"},
        description=f"Dead letters of {stream.stream}, with their bytes, in the table {table_name(stream.stream)}.",
        metadata={
            keys.TABLE: table_name(stream.stream),
            "dagster/table_name": table_name(stream.stream),
            **code_reference(stream.declared.file, stream.declared.line),
        },
    )


def _landed(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, stream: DeadLetterStream
) -> dg.MaterializeResult[Any]:
    kafka, landings, away = warehouse.kafka(), list[Landing](), list[Transient]()
    for topic, cluster in stream.topics.items():
        try:
            landings.append(land(warehouse.lake(), kafka, kafka.properties, stream.stream, topic, cluster))
        except Transient as error:  # the other cluster's letters are landed all the same
            away.append(error)
            context.log.warning(str(error))
            continue
        if landings[-1].gap:
            context.log.warning(f"{landings[-1].gap} letters of {topic} were deleted before they were landed")
    if not landings:
        raise away[0]
    return dg.MaterializeResult(asset_key=stream.key, metadata=_metadata(landings))


def _metadata(landings: Sequence[Landing]) -> dict[str, Any]:
    return {
        keys.TABLE: landings[0].table,
        keys.ROWS_ADDED: sum(landing.letters for landing in landings),
        keys.LETTERS_GONE: sum(landing.gap for landing in landings),
        keys.STRANGERS: sum(landing.strangers for landing in landings),
        keys.REACHED: sum(sum(landing.next_offsets.values()) for landing in landings),
    }
