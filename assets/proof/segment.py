"""The segment of an hour: which offsets of the route's topics are the hour's to answer for.

Segments tile a topic: each offset belongs to exactly one hour's, whatever the record's own time is, so proofs of all
hours look at every offset once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from keystone_platform.gateways.kafka import KafkaGateway
from keystone_platform.plan.hour_proof import HOUR, Span
from keystone_platform.plan.router_plan import RouterPlan


def segment_of(kafka: KafkaGateway, plan: RouterPlan, hour: datetime) -> tuple[Span, ...]:
    """Return the hour's segment: per partition from the first record at or after the hour to the first after its end.

    A replay topic holds events of any time in no order, and few of them: there it reaches to the end. A partition
    without an offset in it is left out, unless the segment begins where Kafka's oldest record does.

    Blocks for some requests a topic. Raises what KafkaGateway raises.
    """
    return tuple(span for topic in plan.source.topics for span in _spans(kafka, plan, topic, hour))


def _spans(kafka: KafkaGateway, plan: RouterPlan, topic: str, hour: datetime) -> Iterator[Span]:
    begins, ends = kafka.offsets_at(topic, hour, hour + HOUR)
    offsets = kafka.offsets(topic)
    replays = topic in plan.source.replay_topics
    for partition, begin in sorted(begins.items()):
        oldest = offsets.begin.get(partition, 0)
        end = max(begin, offsets.end[partition] if replays else ends[partition], oldest)
        # an older record that is kept, or nothing ever deleted: then nothing of the hour can be gone
        yield Span(
            topic=topic, partition=partition, begin=max(begin, oldest), end=end, expired=oldest > 0 and begin <= oldest
        )
