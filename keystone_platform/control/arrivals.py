"""How much came into a topic in past hours, as Kafka itself remembers it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from keystone_platform.gateways.kafka import KafkaGateway
from keystone_platform.gateways.traffic import HOUR, traffic


def arrivals(kafka: KafkaGateway, topic: str, hours: Sequence[datetime]) -> dict[datetime, float]:
    """Return the mean arrival of each hour, events/s, by its beginning (UTC); hours that are not known are left out.

    See `traffic`. Blocks for a request an hour's boundary and three more.

    Raises:
        Transient, Terminal: see KafkaGateway.
    """
    came = traffic(kafka, [(topic, hour) for hour in hours])
    return {hour: events / HOUR.total_seconds() for (_, hour), events in came.items()}
