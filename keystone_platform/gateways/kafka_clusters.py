"""All Kafka clusters of the fleet as one: a topic's name tells the cluster that it is on."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from keystone_platform.envelope import AUDIT_TOPIC
from keystone_platform.errors import Transient
from keystone_platform.gateways.clock import Clock, SystemClock
from keystone_platform.gateways.kafka import REQUEST_TIMEOUT_S, ConfluentKafka, Moment, Offsets
from keystone_platform.settings import Settings, last_good_folder, streams_folder
from keystone_platform.spec.cluster_file import load_clusters, read_clusters
from keystone_platform.spec.clusters import Cluster, Clusters, clusters_file, standby_topic
from keystone_platform.spec.last_good import CLUSTERS_COPY
from keystone_platform.spec.loader import load_streams_leniently
from keystone_platform.spec.names import DEAD_LETTER_SUFFIX, REPLAY_INFIX

AWAY_S = 30.0
"""Seconds for which a cluster counts as away that has let a request time out."""

Answer = TypeVar("Answer")

Primaries = Mapping[str, str]
"""Of streams that live elsewhere than the others: the cluster by the stream's topic."""


class KafkaClusters:
    """KafkaGateway over every declared cluster. A cluster is connected to when one of its topics is first asked for.

    Of a call about topics of several clusters, those are left out whose cluster does not answer, unless none does. Of
    several clusters one that has not answered in time is not asked again for AWAY_S: it would hold up each call.

    Args:
        clusters: the declared ones.
        primaries: read once, when a topic is asked for whose name carries no cluster and there are several.
        timeout_s: how long one request may take.
        clock: tells how long a cluster has been away.
    """

    def __init__(
        self,
        clusters: Clusters,
        primaries: Callable[[], Primaries] = lambda: {},
        timeout_s: float = REQUEST_TIMEOUT_S,
        clock: Clock | None = None,
    ) -> None:
        self.clusters = clusters
        self._read_primaries = primaries
        self._timeout_s = timeout_s
        self._clock = clock or SystemClock()
        self._away: dict[str, tuple[datetime, Transient]] = {}
        self._connected: dict[str, ConfluentKafka] = {}

    def cluster_of(self, topic: str) -> Cluster:
        """Return the cluster that the topic is on, by its name alone."""
        named, rest = self.clusters.home(topic)
        if named:
            return self.clusters.cluster(named)
        elsewhere = self._primaries.get(_stream_topic(rest)) if len(self.clusters.declared) > 1 else None
        return self.clusters.cluster(elsewhere or self.clusters.primary)

    def properties(self, topic: str) -> dict[str, str]:
        """Return what a client is made with that reads or writes the topic. It may hold secrets.

        Raises:
            Terminal: a secret is not where its reference says.
        """
        return self.cluster_of(topic).client_properties()

    def audit_topics(self) -> tuple[str, ...]:
        """Return the topics in which producers say what they counted: one a cluster."""
        others = (name for name in self.clusters.declared if name != self.clusters.primary)
        return (AUDIT_TOPIC, *(standby_topic(name, AUDIT_TOPIC) for name in others))

    def ensure_topic(self, name: str, partitions: int, config: Mapping[str, str] | None = None) -> bool:
        return self._ask(self.cluster_of(name), lambda kafka: kafka.ensure_topic(name, partitions, config))

    def offsets(self, topic: str) -> Offsets:
        return self._ask(self.cluster_of(topic), lambda kafka: kafka.offsets(topic))

    def ends(self, topics: Collection[str]) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for ends in self._answers(topics, lambda kafka, mine: kafka.ends(mine)):
            found |= ends
        return found

    def reached(self, asked: Collection[Moment]) -> Mapping[Moment, int | None]:
        def ask(kafka: ConfluentKafka, mine: Collection[str]) -> Mapping[Moment, int | None]:
            return kafka.reached([moment for moment in asked if moment[0] in mine])

        found: dict[Moment, int | None] = dict.fromkeys(asked)
        for reached in self._answers({topic for topic, _ in asked}, ask):
            found |= reached
        return found

    def largest_record(self, topic: str) -> int | None:
        return self._ask(self.cluster_of(topic), lambda kafka: kafka.largest_record(topic))

    def largest_transaction_timeout_s(self) -> float:
        primary = self.clusters.cluster(self.clusters.primary)
        return self._ask(primary, lambda kafka: kafka.largest_transaction_timeout_s())

    def offsets_at(self, topic: str, *times: datetime) -> tuple[Mapping[int, int], ...]:
        return self._ask(self.cluster_of(topic), lambda kafka: kafka.offsets_at(topic, *times))

    @cached_property
    def _primaries(self) -> Primaries:
        return self._read_primaries()

    def _ask(self, cluster: Cluster, ask: Callable[[ConfluentKafka], Answer]) -> Answer:
        began = self._clock.now()
        since, known = self._away.get(cluster.name, (None, None))
        if since and known and (began - since).total_seconds() < AWAY_S:
            raise known
        if cluster.name not in self._connected:
            name = cluster.name if self.clusters.file else None
            self._connected[cluster.name] = ConfluentKafka(cluster.client_properties(), self._timeout_s, name)
        try:
            return ask(self._connected[cluster.name])
        except Transient as error:
            ended = self._clock.now()
            if len(self.clusters.declared) > 1 and (ended - began).total_seconds() >= self._timeout_s:
                self._away[cluster.name] = ended, error
            raise

    def _answers(
        self, topics: Collection[str], ask: Callable[[ConfluentKafka, Collection[str]], Answer]
    ) -> list[Answer]:
        """Ask each cluster for its topics; those that do not answer are passed over if another one does."""
        mine: dict[str, list[str]] = {}
        for topic in topics:
            mine.setdefault(self.cluster_of(topic).name, []).append(topic)
        found, away = [], []
        for name, of_cluster in mine.items():
            try:
                found.append(self._ask(self.clusters.cluster(name), partial(_asked_for, ask, of_cluster)))
            except Transient as error:
                away.append(error)
        if away and not found:
            raise away[0]
        return found


def _asked_for(
    ask: Callable[[ConfluentKafka, Collection[str]], Answer], topics: Collection[str], kafka: ConfluentKafka
) -> Answer:
    return ask(kafka, topics)


def declared_clusters(settings: Settings, env: Mapping[str, str] | None = None) -> Clusters:
    """Return the clusters of clusters.yaml, else the one of the settings.

    While the file is wrong, they are those of when it was last valid: what runs is to be looked after all the same.

    Args:
        settings: of the platform.
        env: says where the stream files and clusters.yaml are; the process's unless given.

    Raises:
        InvalidSpecs: clusters.yaml is wrong, and nobody has read it before.
    """
    env = os.environ if env is None else env
    file, known = clusters_file(streams_folder(env), env), last_good_folder(env) / CLUSTERS_COPY
    found, _ = read_clusters(file, settings.kafka)
    if found is None and known.is_file():
        found, _ = read_clusters(known)
    return found or load_clusters(file, settings.kafka)


def connect_kafka(
    settings: Settings, env: Mapping[str, str] | None = None, further: Callable[[], Primaries] = lambda: {}
) -> KafkaClusters:
    """Return the declared clusters as one gateway. Connects to none yet.

    Args:
        settings: of the platform.
        env: see `declared_clusters`.
        further: returns primaries of streams that the files may not declare any more; what the files say wins.

    Raises:
        InvalidSpecs: clusters.yaml is wrong.
    """
    env = os.environ if env is None else env
    clusters, folder = declared_clusters(settings, env), streams_folder(env)
    return KafkaClusters(clusters, lambda: {**further(), **_declared_primaries(folder, clusters)})


def sending_properties(
    clusters: Clusters, own: Callable[[Mapping[str, str]], Mapping[str, str]] = lambda kafka: kafka
) -> Mapping[str, str] | Mapping[str, Mapping[str, str]]:
    """Return what a KeystoneProducer is given: of each declared cluster by name, or of the only one, its properties.

    Args:
        clusters: those that streams live on.
        own: returns the properties as the sender wants them.

    Raises:
        Terminal: a secret is not where its reference says.
    """
    by_name = {name: own(each.client_properties()) for name, each in clusters.declared.items()}
    return by_name if clusters.file else by_name[clusters.primary]


def _declared_primaries(folder: Path, clusters: Clusters) -> Primaries:
    specs = [stream.spec for stream in load_streams_leniently(folder, clusters).streams]
    return {spec.topic_name: primary for spec in specs if (primary := clusters.names(spec)[0]) != clusters.primary}


def _stream_topic(topic: str) -> str:
    """Return the topic of the stream whose dead letters, or replayed ones, this topic holds; else the topic itself."""
    return topic.partition(REPLAY_INFIX)[0].removesuffix(DEAD_LETTER_SUFFIX)
