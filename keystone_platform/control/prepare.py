"""Makes what a router needs around it, since the router itself runs no DDL."""

from __future__ import annotations

from keystone_platform.control.gateways import Gateways
from keystone_platform.gateways.kafka import MAX_MESSAGE_BYTES
from keystone_platform.plan.router_plan import KafkaTarget, RouterPlan, WarehouseTarget

DEAD_LETTER_PARTITIONS = 1
"""Dead letters are few, and one partition keeps them in order."""


DEAD_LETTER_MAX_BYTES = MAX_MESSAGE_BYTES + 512 * 1024
"""A dead letter is its event and what says why: what the source topic takes must fit here too."""


def prepare(gateways: Gateways, plan: RouterPlan, partitions: int) -> None:
    """Make sure that topics and table are there; what exists is left, but for columns that the table lacks.

    Raises:
        InvalidSpec: the table has a column of the same name and another type.
        Transient, Terminal: Kafka, the catalog or S3 does not answer or refuses.
    """
    gateways.kafka.ensure_topic(plan.source.topic, partitions)
    if not plan.source.raw:
        limit = {"max.message.bytes": str(DEAD_LETTER_MAX_BYTES)}
        gateways.kafka.ensure_topic(plan.dead_letter_topic, DEAD_LETTER_PARTITIONS, limit)
    match plan.target:
        case WarehouseTarget():
            gateways.lake.ensure_table(plan)
        case KafkaTarget(topic=topic):
            gateways.kafka.ensure_topic(topic, partitions)
