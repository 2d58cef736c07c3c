"""How much came into a topic in past hours, as Kafka itself remembers it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from keystone_platform.gateways.kafka import KafkaGateway

_HOUR = timedelta(hours=1)


def arrivals(kafka: KafkaGateway, topic: str, hours: Sequence[datetime]) -> dict[datetime, float]:
    """Return the mean arrival of each hour, events/s, by its beginning (UTC); hours that are not known are left out.

    An hour is known if Kafka still has all of it, and if the stream had begun before its end. What counts is the time
    of the records, which is that of the events. Blocks for a request an hour's boundary, all at once.

    Raises:
        Transient, Terminal: see KafkaGateway.
    """
    bounds = sorted({*hours, *(hour + _HOUR for hour in hours)})
    reached = dict(zip(bounds, kafka.reached_at(topic, bounds), strict=True))
    found = {}
    for hour in hours:
        before, after = reached[hour], reached[hour + _HOUR]
        if before is not None and after:
            found[hour] = (after - before) / _HOUR.total_seconds()
    return found
