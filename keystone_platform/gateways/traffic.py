"""How many events came into topics in past hours, as Kafka itself remembers it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from keystone_platform.gateways.kafka import KafkaGateway, Moment

HOUR = timedelta(hours=1)


def traffic(kafka: KafkaGateway, hours: Collection[Moment]) -> dict[Moment, int]:
    """Return how many events each topic got in each hour (its beginning, UTC); what is not known is left out.

    An hour is known if Kafka still has all of it, and if the topic had begun before its end. What counts is the time
    of the records, which is that of the events: the offset of the first record of the hour is subtracted from that of
    the next hour. So a record that came late counts for the hour in which it came, and offsets that no record has (of
    transactions) count as well.

    Raises:
        Transient, Terminal: see KafkaGateway.
    """
    reached = kafka.reached({moment for topic, hour in hours for moment in ((topic, hour), (topic, hour + HOUR))})
    found = {}
    for topic, hour in hours:
        before, after = reached[topic, hour], reached[topic, hour + HOUR]
        if before is not None and after:
            found[topic, hour] = after - before
    return found
