"""Looks at one cluster from a thread of its own, since asking a dead one takes until the time-out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from confluent_kafka import KafkaException

from keystone_platform.producer.client import Client
from keystone_platform.producer.directory import Directory
from keystone_platform.producer.health import FailoverLimits
from keystone_platform.producer.order_sources import OrderTopic
from keystone_platform.producer.orders import ORDERS_TOPIC, Orders
from keystone_platform.producer.problems import Reporter


class Asks(Protocol):
    """What a lookout needs of its producer."""

    def client_of(self, cluster: str) -> Client:
        """Return a client that sends to the cluster."""
        ...

    @property
    def directory(self) -> Directory:
        """Where streams live."""
        ...


class Lookout:
    """Asks the cluster for one of its topics at a time, and reads the orders on it.

    Attributes:
        is_pressed: ask again with each look, and not only every `probe_s`.
        probes_failed: how many were not answered, one after another, up to the newest one.
        has_answered: the newest one was, and each partition had a leader.
        missing: topics that are not on the cluster.
        orders: what was read of them so far.
    """

    def __init__(
        self, name: str, asks: Asks, topic: Callable[[], OrderTopic], limits: FailoverLimits, reporter: Reporter
    ) -> None:
        self.is_pressed = True
        self.probes_failed = 0
        self.has_answered = False
        self.missing: frozenset[str] = frozenset()
        self.orders = Orders()
        self._name = name
        self._asks = asks
        self._make_topic = topic
        self._order_topic: OrderTopic | None = None
        self._limits = limits
        self._reporter = reporter
        self._number = 0
        self._asked_at = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"keystone-producer-lookout-{name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, which may take a while more: until its newest question is answered or timed out."""
        self._is_over.set()

    def abandon(self) -> None:
        """End in a child process: the thread is not in it."""
        self._is_over.set()
        if self._order_topic:
            self._order_topic.abandon()

    def probe(self) -> None:
        """Ask for the next topic; blocks until it is answered, `probe_timeout_s` at most."""
        topics = self._asks.directory.topics_on(self._name) or [ORDERS_TOPIC]
        topic = topics[self._number % len(topics)]
        self._number += 1
        try:
            leaders = self._asks.client_of(self._name).leaders(topic, self._limits.probe_timeout_s)
        except KafkaException:  # librdkafka tells the reason by `error_cb`
            self.probes_failed += 1
            self.has_answered = False
            return
        self.probes_failed = 0
        self.has_answered = all(leaders)
        self.missing = self.missing - {topic} if leaders or topic == ORDERS_TOPIC else self.missing | {topic}

    def _run(self) -> None:
        try:
            self._order_topic = self._make_topic()
        except ValueError as error:
            self._reporter.tell("order", f"the topic of orders can't be read: {error}", cluster=self._name)
        while not self._is_over.is_set():
            if self._is_due():
                self._asked_at = monotonic()
                self.probe()
            if self._order_topic:
                self.orders = self.orders.with_newer(self._order_topic.read())
            self._is_over.wait(self._limits.look_s)
        if self._order_topic:
            self._order_topic.close()

    def _is_due(self) -> bool:
        has_new = self._number < len(self._asks.directory.topics_on(self._name))  # each is looked for at first
        return self.is_pressed or has_new or monotonic() - self._asked_at >= self._limits.probe_s
