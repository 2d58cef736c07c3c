"""The topic of orders on every cluster: written wherever a cluster answers, since a sick one may be the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from keystone_platform.audit.records import read_records
from keystone_platform.errors import KeystoneError, Transient
from keystone_platform.gateways.kafka import ConfluentKafka
from keystone_platform.producer.orders import ORDERS_TOPIC, BadOrder, Orders
from keystone_platform.spec.clusters import Cluster

T = TypeVar("T")

TOPIC_SETTINGS: Mapping[str, str] = MappingProxyType({"cleanup.policy": "compact", "segment.ms": str(24 * 3600 * 1000)})
"""Configuration of the topic of orders: the newest order of each stream is kept for ever."""

TIMEOUT_S = 5.0
"""How long a cluster may take to answer before it counts as away."""


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What a cluster answered.

    Attributes:
        value: the answer; None if there is none.
        error: why there is none.
    """

    value: T | None
    error: str = ""


class OrderTopics:
    """Reads and writes the orders on all clusters at once. Each call blocks for a few times TIMEOUT_S at most."""

    def __init__(self, clusters: Mapping[str, Cluster], timeout_s: float | None = None) -> None:
        self._clusters = clusters
        self._timeout_s = TIMEOUT_S if timeout_s is None else timeout_s

    def read(self) -> Mapping[str, Answer[Orders]]:
        """Return the orders on each cluster, or why they could not be read; never raises for a cluster."""
        return self._of_each(self._read_one)

    def write(self, orders: Orders) -> Mapping[str, Answer[Orders]]:
        """Write these orders to each cluster, and make the topic where it is missing; never raises for a cluster."""
        return self._of_each(lambda cluster: self._write_one(cluster, orders))

    def _of_each(self, ask: Callable[[Cluster], T]) -> Mapping[str, Answer[T]]:
        def answer(cluster: Cluster) -> Answer[T]:
            try:
                return Answer(ask(cluster))
            except KeystoneError as error:
                return Answer(None, error.what)
            except KafkaException as error:
                return Answer(None, error.args[0].str())

        with ThreadPoolExecutor(max(1, len(self._clusters))) as pool:
            return dict(zip(self._clusters, pool.map(answer, self._clusters.values()), strict=True))

    def _read_one(self, cluster: Cluster) -> Orders:
        properties, found = cluster.client_properties(), Orders()
        offsets = ConfluentKafka(properties, self._timeout_s).offsets(ORDERS_TOPIC)
        for records in read_records(properties, ORDERS_TOPIC, offsets):
            for record in records:
                try:
                    found = found.with_newer(Orders.of_record(record.key, record.value))
                except BadOrder:  # producers leave it aside as well
                    continue
        return found

    def _write_one(self, cluster: Cluster, orders: Orders) -> Orders:
        properties = cluster.client_properties()
        ConfluentKafka(properties, self._timeout_s).ensure_topic(ORDERS_TOPIC, 1, TOPIC_SETTINGS)
        failures: list[KafkaError] = []

        def report(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error)

        bounds = {"acks": "all", "message.timeout.ms": int(self._timeout_s * 1000), "log_level": 0}
        producer = Producer({**properties, **bounds})
        for stream, order in orders.by_stream.items():
            producer.produce(ORDERS_TOPIC, json.dumps(order.value()).encode(), stream.encode(), on_delivery=report)
        if producer.flush(self._timeout_s + 1) or failures:
            text = failures[0].str() if failures else "no answer in time"
            message = f"{ORDERS_TOPIC} did not take the order: {text}"
            raise Transient(message)
        return orders
