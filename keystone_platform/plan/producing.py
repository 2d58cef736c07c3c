"""What services need to know of the declared streams to send to them, as one document.

`keystone_platform.producer.terms` reads it without pydantic; a test holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from keystone_platform.envelope import AUDIT_TOPIC
from keystone_platform.plan.cost import Cost
from keystone_platform.plan.router_plan import PlanPart
from keystone_platform.spec.models import StreamSpec
from keystone_platform.spec.producer import Acks


class Producing(PlanPart):
    """How a stream's events are sent. What changes here costs the routers nothing: it holds for what is sent next.

    Attributes:
        topic: the Kafka topic. Another one is another stream to the routers, which their own plans say.
        acks: who has an event before it counts as acknowledged.
        max_block_s: how long `send` may wait for room.
    """

    topic: Annotated[str, Cost.NOTHING]
    acks: Annotated[Acks, Cost.NOTHING] = "all"
    max_block_s: Annotated[float, Cost.NOTHING] = 0.0


class ProducerDocument(PlanPart):
    """All streams as producers need them.

    Attributes:
        version: of the form.
        audit_topic: where producers write what they counted.
        streams: by name.
    """

    version: Annotated[Literal[1], Cost.NOTHING] = 1
    audit_topic: Annotated[str | None, Cost.NOTHING] = AUDIT_TOPIC
    streams: Annotated[dict[str, Producing], Cost.NOTHING]


def plan_producers(streams: Iterable[StreamSpec]) -> ProducerDocument:
    """Return the document of these streams, by name."""
    found = {
        spec.stream: Producing(topic=spec.topic_name, acks=spec.producer.acks, max_block_s=spec.producer.max_block_s)
        for spec in streams
    }
    return ProducerDocument(streams=dict(sorted(found.items())))
