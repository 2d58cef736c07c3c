"""The clients of a producer: one for each cluster and `acks` that its streams ask for, made when first needed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping

from keystone_platform.producer.client import Buffer, Client, Cluster
from keystone_platform.producer.problems import Reporter
from keystone_platform.producer.terms import Acks

Topics = Mapping[tuple[str, str], int]
"""Records by (cluster, topic)."""


class Clients:
    """Makes, replaces and ends clients. Its owner's lock guards all but `all` and `transmitted`.

    Args:
        bounds: properties that bound a client's queue.
    """

    def __init__(self, buffer: Buffer, reporter: Reporter, bounds: Mapping[str, str | int]) -> None:
        self._buffer = buffer
        self._reporter = reporter
        self._bounds = bounds
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
        made = self._clients[cluster.name, acks] = Client(cluster, acks, self._buffer, self._reporter, self._bounds)
        return made

    def all(self) -> list[Client]:
        """Return those that events may be on their way in."""
        return [*self._clients.values(), *self._retired]

    def forget(self) -> None:
        """Leave a parent process's clients alone, and know none."""
        for client in self.all():
            client.abandon()
        self._clients, self._retired = {}, []

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
