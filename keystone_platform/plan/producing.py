"""What services need to know of the declared streams to send to them, as one document.

`keystone_platform.producer.terms` reads it without pydantic; a test holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from keystone_platform.envelope import AUDIT_TOPIC
from keystone_platform.plan.cost import Cost
from keystone_platform.plan.router_plan import PlanPart
from keystone_platform.spec.clusters import Clusters, standby_topic
from keystone_platform.spec.models import StreamSpec
from keystone_platform.spec.producer import Acks


class ProducingSite(PlanPart):
    """A cluster that a stream's events may be sent to.

    Attributes:
        cluster: its name; the address is the service's own setting.
        topic: the stream's topic there.
    """

    cluster: Annotated[str, Cost.NOTHING]
    topic: Annotated[str, Cost.NOTHING]


class Producing(PlanPart):
    """How a stream's events are sent. What changes here costs the routers nothing: it holds for what is sent next.

    Attributes:
        topic: the Kafka topic. Another one is another stream to the routers, which their own plans say.
        acks: who has an event before it counts as acknowledged.
        max_block_s: how long `send` may wait for room.
        clusters: the stream's primary, then its standby; empty where no clusters are declared.
    """

    topic: Annotated[str, Cost.NOTHING]
    acks: Annotated[Acks, Cost.NOTHING] = "all"
    max_block_s: Annotated[float, Cost.NOTHING] = 0.0
    clusters: Annotated[tuple[ProducingSite, ...], Cost.NOTHING] = ()


class ProducerDocument(PlanPart):
    """All streams as producers need them.

    Attributes:
        version: of the form.
        audit_topic: where producers write what they counted.
        audit_clusters: the clusters that have it; empty where no clusters are declared.
        streams: by name.
    """

    version: Annotated[Literal[1], Cost.NOTHING] = 1
    audit_topic: Annotated[str | None, Cost.NOTHING] = AUDIT_TOPIC
    audit_clusters: Annotated[tuple[ProducingSite, ...], Cost.NOTHING] = ()
    streams: Annotated[dict[str, Producing], Cost.NOTHING]


def plan_producers(streams: Iterable[StreamSpec], clusters: Clusters) -> ProducerDocument:
    """Return the document of these streams, by name."""
    found = {
        spec.stream: Producing(
            topic=spec.topic_name,
            acks=spec.producer.acks,
            max_block_s=spec.producer.max_block_s,
            clusters=_sites(spec, clusters),
        )
        for spec in streams
    }
    return ProducerDocument(audit_clusters=audit_sites(clusters), streams=dict(sorted(found.items())))


def audit_sites(clusters: Clusters) -> tuple[ProducingSite, ...]:
    """Return where producers write what they counted: on the clusters that streams live on unless they say otherwise.

    Empty where no clusters are declared.
    """
    if clusters.file is None:
        return ()
    primary = ProducingSite(cluster=clusters.primary, topic=AUDIT_TOPIC)
    if clusters.standby is None:
        return (primary,)
    return primary, ProducingSite(cluster=clusters.standby, topic=standby_topic(clusters.standby, AUDIT_TOPIC))


def _sites(spec: StreamSpec, clusters: Clusters) -> tuple[ProducingSite, ...]:
    if clusters.file is None:
        return ()
    lives, topic = clusters.of(spec), spec.topic_name
    return tuple(ProducingSite(cluster=each.name, topic=lives.topic_on(each.name, topic)) for each in lives.all)
