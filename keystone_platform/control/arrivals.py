"""How much came into a topic in past hours, as Kafka itself remembers it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from keystone_platform.gateways.kafka import KafkaGateway
from keystone_platform.gateways.traffic import HOUR, traffic


def arrivals(kafka: KafkaGateway, topics: Sequence[str], hours: Sequence[datetime]) -> dict[datetime, float]:
    """Return the mean arrival of each hour, events/s, by its beginning (UTC); hours that are not known are left out.

    Of all the topics together: a stream has one a cluster. See `traffic`. Blocks for a request an hour's boundary and
    three more, a cluster.

    Raises:
        Transient, Terminal: see KafkaGateway.
    """
    came = traffic(kafka, [(topic, hour) for hour in hours for topic in topics])
    found: dict[datetime, float] = {}
    for (_, hour), events in came.items():
        found[hour] = found.get(hour, 0.0) + events / HOUR.total_seconds()
    return found
