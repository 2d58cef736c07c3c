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
from keystone_platform.errors import KeystoneError
from keystone_platform.plan.plan_router import FleetPlan
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
        """The topic of its dead letters."""
        return self.declared.spec.dead_letter_topic

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
    settings = warehouse.settings()
    landing = land(warehouse.lake(), warehouse.kafka(), settings.kafka, stream.stream, stream.topic)
    if landing.gap:
        context.log.warning(f"{landing.gap} letters of {stream.topic} were deleted before they were landed")
    return dg.MaterializeResult(asset_key=stream.key, metadata=_metadata(landing))


def _metadata(landing: Landing) -> dict[str, Any]:
    return {
        keys.TABLE: landing.table,
        keys.ROWS_ADDED: landing.letters,
        keys.LETTERS_GONE: landing.gap,
        keys.STRANGERS: landing.strangers,
        keys.REACHED: sum(landing.next_offsets.values()),
    }
