"""What the gateway counts beside its producer, as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from keystone_platform.producer import KeystoneProducer
from keystone_platform.producer.metrics import ProducerCollector

REQUESTS = "keystone_gateway_requests"
MALFORMED_EVENTS = "keystone_gateway_malformed_events"
SHED_REQUESTS = "keystone_gateway_shed_requests"
BODY_BYTES = "keystone_gateway_body_bytes"
SECONDS = "keystone_gateway_request_seconds"

MEANINGS: Mapping[str, str] = {
    REQUESTS: "Requests that were to send events, by content mode and status",
    MALFORMED_EVENTS: "What was sent as an event and is none; the producer counts events only",
    SHED_REQUESTS: "Requests that were answered 429 or 503 before an event of theirs was attempted",
    BODY_BYTES: "Bytes of bodies that were read to their end",
    SECONDS: "From a request's head to its answer, Kafka's acknowledgement included, by content mode",
}
"""Every metric with what it counts; beside those of keystone_platform.producer.metrics."""

_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class GatewayMetrics:
    """A registry of its own, so that two gateways in one process do not meet."""

    def __init__(self, producer: KeystoneProducer) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(ProducerCollector(producer))
        self.requests = Counter(REQUESTS, MEANINGS[REQUESTS], ["mode", "status"], registry=self._registry)
        self.malformed = Counter(MALFORMED_EVENTS, MEANINGS[MALFORMED_EVENTS], registry=self._registry)
        self.shed = Counter(SHED_REQUESTS, MEANINGS[SHED_REQUESTS], registry=self._registry)
        self.body_bytes = Counter(BODY_BYTES, MEANINGS[BODY_BYTES], registry=self._registry)
        self.seconds = Histogram(SECONDS, MEANINGS[SECONDS], ["mode"], buckets=_BUCKETS, registry=self._registry)

    def text(self) -> bytes:
        """Return all of them in Prometheus' text format."""
        return generate_latest(self._registry)
