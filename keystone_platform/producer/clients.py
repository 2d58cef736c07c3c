"""The clients of a producer: one for each cluster and `acks` that its streams ask for, made when first needed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping

from keystone_platform.producer.client import Buffer, Client
from keystone_platform.producer.problems import Reporter
from keystone_platform.producer.roster import Cluster
from keystone_platform.producer.settings import ProducerSettings
from keystone_platform.producer.terms import Acks

Topics = Mapping[tuple[str, str], int]
"""Records by (cluster, topic)."""


class Clients:
    """Makes, replaces and ends clients. Its owner's lock guards all but `all`, `used_bytes` and `transmitted`.

    Args:
        settings: bounds of queues and buffers.

    Attributes:
        buffers: of each cluster that a client was made for.
    """

    def __init__(self, reporter: Reporter, settings: ProducerSettings) -> None:
        self._reporter = reporter
        self._settings = settings
        self.buffers: dict[str, Buffer] = {}
        self._clients: dict[tuple[str, Acks], Client] = {}
        self._retired: list[Client] = []

    def client(self, cluster: Cluster, acks: Acks) -> Client:
        """Return the client, made anew if there is none or librdkafka has ended it.

        Raises:
            ValueError: a property is wrong.
        """
        found = self._clients.get((cluster.name, acks))
        if found and not found.is_broken:
            return found
        if found:
            self._retired.append(found)
        buffer = self.buffers.get(cluster.name) or Buffer(self._settings.max_buffer_bytes)
        made = Client(cluster, acks, buffer, self._reporter, self._settings.queue_bounds)
        self._clients[cluster.name, acks] = made
        self.buffers[cluster.name] = buffer
        return made

    def some(self, cluster: Cluster) -> Client:
        """Return a client of the cluster, whichever there is."""
        acks: Acks = next((acks for name, acks in self._clients if name == cluster.name), "all")
        return self.client(cluster, acks)

    @property
    def used_bytes(self) -> int:
        """What events on their way take, over all clusters."""
        return sum(buffer.used for buffer in list(self.buffers.values()))

    def all(self) -> list[Client]:
        """Return those that events may be on their way in."""
        return [*self._clients.values(), *self._retired]

    def forget(self) -> None:
        """Leave a parent process's clients alone, and know none."""
        for client in self.all():
            client.abandon()
        self._clients, self._retired, self.buffers = {}, [], {}

    def transmitted(self) -> Topics:
        """Return how many records were sent to brokers, each further time counted too, as of the newest statistics."""
        found: dict[tuple[str, str], int] = defaultdict(int)
        for client in self.all():
            for topic, records in _transmitted(client.statistics).items():
                found[client.cluster.name, topic] += records
        return found


def _transmitted(statistics: str) -> dict[str, int]:
    """Read librdkafka's statistics (STATISTICS.md): `txmsgs` counts what goes into requests, retries included."""
    topics = json.loads(statistics)["topics"] if statistics else {}
    return {
        name: sum(partition["txmsgs"] for partition in topic["partitions"].values()) for name, topic in topics.items()
    }
