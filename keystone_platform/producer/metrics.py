"""A producer's counts as Prometheus metrics, for services that have prometheus_client.

`REGISTRY.register(ProducerCollector(producer))`: the counts are read when Prometheus asks, so `send` costs no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from keystone_platform.producer.accounting import DropReason
from keystone_platform.producer.health import Health

if TYPE_CHECKING:
    from keystone_platform.producer.producer import KeystoneProducer

ATTEMPTED = "keystone_producer_attempted"
ACKNOWLEDGED = "keystone_producer_acknowledged"
DROPPED = "keystone_producer_dropped"
RETRIED = "keystone_producer_retried"
PENDING = "keystone_producer_pending"
BUFFER_BYTES = "keystone_producer_buffer_bytes"
CLUSTER_HEALTHY = "keystone_producer_cluster_healthy"

MEANINGS: Mapping[str, str] = {
    ATTEMPTED: "Events handed to send",
    ACKNOWLEDGED: "Events that Kafka acknowledged, as the stream's acks ask",
    DROPPED: "Events given up, by reason",
    RETRIED: "Events sent to Kafka again, each time counted",
    PENDING: "Events whose outcome is not known yet",
    BUFFER_BYTES: "What events on their way take in memory, all streams together",
    CLUSTER_HEALTHY: "1 while the cluster is healthy, else 0; only of a producer with several clusters",
}
"""Every metric, with what it counts. Labels: `stream`, `cluster`, of DROPPED also `reason`; none of BUFFER_BYTES, of
CLUSTER_HEALTHY `cluster` alone."""


class ProducerCollector:
    """A collector as prometheus_client's registries take them.

    Raises:
        ImportError: prometheus_client is not installed.
    """

    def __init__(self, producer: KeystoneProducer) -> None:
        from prometheus_client import core

        self._families: Any = core
        self._producer = producer

    def collect(self) -> Iterator[Any]:
        """Yield the metrics as they are now."""
        labels = ("stream", "cluster")
        counters = {
            name: self._families.CounterMetricFamily(name, MEANINGS[name], labels=[*labels, *more])
            for name, more in ((ATTEMPTED, ()), (ACKNOWLEDGED, ()), (DROPPED, ("reason",)), (RETRIED, ()))
        }
        pending = self._families.GaugeMetricFamily(PENDING, MEANINGS[PENDING], labels=labels)
        for place, counts in self._producer.counts_by_place().items():
            at = [place.stream, place.cluster]
            counters[ATTEMPTED].add_metric(at, counts.attempted)
            counters[ACKNOWLEDGED].add_metric(at, counts.acknowledged)
            counters[RETRIED].add_metric(at, counts.retried)
            pending.add_metric(at, counts.pending)
            for reason in DropReason:
                counters[DROPPED].add_metric([*at, reason.value], counts.dropped.get(reason, 0))
        yield from counters.values()
        yield pending
        healthy = self._families.GaugeMetricFamily(CLUSTER_HEALTHY, MEANINGS[CLUSTER_HEALTHY], labels=("cluster",))
        for name, condition in self._producer.conditions().items():
            healthy.add_metric([name], float(condition.health is Health.HEALTHY))
        yield healthy
        yield self._families.GaugeMetricFamily(BUFFER_BYTES, MEANINGS[BUFFER_BYTES], value=self._producer.buffer_bytes)
