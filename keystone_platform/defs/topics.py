"""Topics: external assets, since producers fill them and not Dagster."""

from __future__ import annotations

import dagster as dg

from keystone_platform.defs.keys import topic_key
from keystone_platform.defs.references import code_reference
from keystone_platform.spec.fleet import LoadedStream


def topic_asset(declared: LoadedStream) -> dg.AssetSpec:
    """Return the stream's topic as an external asset."""
    stream = declared.spec
    return dg.AssetSpec(
        topic_key(stream.stream),
        group_name=stream.stream,
        owners=[stream.owner],
        kinds={"kafka"},
        description=stream.description or f"Events of {stream.stream}, as producers sent them.",
        metadata={
            "dagster/uri": f"kafka://{stream.topic_name}",
            "keystone/topic": stream.topic_name,
            "keystone/dead_letter_topic": stream.dead_letter_topic,
            **code_reference(declared.file, declared.line),
        },
    )
