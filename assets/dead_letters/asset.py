"""A stream's landed dead letters as an asset: materialising it lands what the topic has beyond the table."""

# no `from __future__ import annotations`: Dagster looks at the annotation of `context` itself

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets import keys
from assets.dead_letters.land import Landing, land
from assets.dead_letters.table import table_name
from assets.resource import WarehouseResource
from keystone_platform.defs.keys import topic_key
from keystone_platform.defs.references import code_reference
from keystone_platform.errors import InvalidSpec, Terminal
from keystone_platform.plan.plan_router import plan_fleet
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


def dead_letter_streams(fleet: Fleet) -> tuple[DeadLetterStream, ...]:
    """Return the streams of which a route decodes events, in the fleet's order."""
    decoding = {plan.stream for plan in plan_fleet(fleet).plans if not plan.source.raw}
    return tuple(DeadLetterStream(stream) for stream in fleet.streams if stream.spec.stream in decoding)


def dead_letter_assets(streams: Iterable[DeadLetterStream]) -> list[dg.AssetsDefinition]:
    """Return an asset a stream."""
    return [_asset(stream) for stream in streams]


def _asset(stream: DeadLetterStream) -> dg.AssetsDefinition:
    spec = stream.declared.spec

    @dg.asset(
        key=stream.key,
        deps=[topic_key(stream.stream)],
        group_name=stream.stream,
        owners=[spec.owner],
        kinds={"iceberg", "parquet", "s3"},
        pool=keys.DEAD_LETTER_POOL,
        retry_policy=RETRIES,
        description=f"Dead letters of {stream.stream}, with their bytes, in the table {table_name(stream.stream)}.",
        metadata={
            keys.TABLE: table_name(stream.stream),
            "dagster/table_name": table_name(stream.stream),
            **code_reference(stream.declared.file, stream.declared.line),
        },
    )
    def dead_letters(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult[Any]:
        settings = warehouse.settings()
        try:
            landing = land(warehouse.lake(), warehouse.kafka(), settings.kafka, stream.stream, stream.topic)
        except (Terminal, InvalidSpec) as error:  # what else is raised may go better the next time
            raise dg.Failure(str(error), allow_retries=False) from error
        if landing.gap:
            context.log.warning(f"{landing.gap} letters of {stream.topic} were deleted before they were landed")
        return dg.MaterializeResult(asset_key=stream.key, metadata=_metadata(landing))

    return dead_letters


def _metadata(landing: Landing) -> dict[str, Any]:
    return {
        keys.TABLE: landing.table,
        keys.ROWS_ADDED: landing.letters,
        keys.LETTERS_GONE: landing.gap,
        keys.STRANGERS: landing.strangers,
        keys.REACHED: sum(landing.next_offsets.values()),
    }
