"""Where a producer reads orders: a file that is mounted or written whole, and a topic on each of its clusters."""

from __future__ import annotations

import ctypes
import logging
import os
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from keystone_platform.producer.orders import ORDERS_TOPIC, BadOrder, Orders
from keystone_platform.producer.problems import Reporter
from keystone_platform.producer.roster import Cluster

_SILENT = logging.getLogger("keystone.producer.orders")
_SILENT.disabled = True  # the client that sends to the same cluster tells what is wrong with it

_ONE_READ = 100

_READER = {
    "group.id": "keystone-producer",  # asked for by librdkafka; partitions are assigned, so no group is joined
    "enable.auto.commit": False,
    "allow.auto.create.topics": False,
    "fetch.wait.max.ms": 10_000,  # a broker answers at once when there is something
}


class OrderFile:
    """A file of orders. One that can't be read, or is broken, is told, and what was read before it goes on to hold."""

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self._path = path
        self._reporter = reporter
        self._mark: tuple[int, int, int] | None = None
        self._read = Orders()

    def read(self) -> Orders:
        """Return the newest orders that could be read; looks into the file only when it is another than before."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - twice a second: Path.stat makes objects for nothing
            mark = (found.st_mtime_ns, found.st_ino, found.st_size)
            if mark != self._mark:
                self._read = Orders.read(self._path.read_bytes())
                self._mark = mark
        except FileNotFoundError:
            if self._mark is not None:
                self._tell("it is gone")
        except OSError as error:
            self._tell(f"can't be read: {error.strerror}")
        except BadOrder as error:
            self._tell(str(error))
        return self._read

    def _tell(self, what: str) -> None:
        self._reporter.tell("order", f"{self._path}: {what}; the orders that were read before it hold")


class OrderTopic:
    """The topic of orders on one cluster, read from its beginning. Not thread-safe.

    Raises:
        ValueError: librdkafka does not know a property or its value.
    """

    def __init__(self, cluster: Cluster, reporter: Reporter) -> None:
        self._cluster = cluster
        self._reporter = reporter
        try:
            self._consumer = Consumer({**cluster.kafka, **_READER}, logger=_SILENT)
            self._consumer.assign([TopicPartition(ORDERS_TOPIC, 0, 0)])
        except KafkaException as error:
            raise ValueError(str(error.args[0])) from error

    def read(self) -> Orders:
        """Return the orders that came since the last call, without waiting; none where the topic is not there."""
        found = Orders()
        while messages := self._consumer.consume(_ONE_READ, 0):
            for message in messages:
                found = found.with_newer(self._orders(message))
        return found

    def close(self) -> None:
        """End the consumer."""
        self._consumer.close()

    def abandon(self) -> None:
        """Never touch it again: it is a parent process's; see Client.abandon."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._consumer))

    def _orders(self, message: Message) -> Orders:
        if message.error() is not None:
            return Orders()
        try:
            return Orders.of_record(message.key(), message.value())
        except BadOrder as error:
            place = f"{ORDERS_TOPIC}@{message.offset()}"
            self._reporter.tell("order", f"{place} is left aside: {error}", cluster=self._cluster.name)
            return Orders()
