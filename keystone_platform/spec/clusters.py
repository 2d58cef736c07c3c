"""The Kafka clusters that streams live on, and how a topic's name tells the cluster.

A stream has a primary cluster and, if wanted, a standby: services send there while the primary is sick, and routers
read both. On the standby its topics carry the cluster's name, `<cluster>.<topic>`, as MirrorMaker 2 names topics of
another cluster. So topic, partition and offset stay a row's identity, whichever cluster its event came by.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from keystone_platform.errors import InvalidSpec
from keystone_platform.secret import REFERENCE, read_secret
from keystone_platform.settings import settings_file
from keystone_platform.spec.names import CLUSTER_PATTERN, NO_CLUSTER

if TYPE_CHECKING:
    from keystone_platform.spec.models import StreamSpec

CLUSTERS_VARIABLE = "KEYSTONE_CLUSTERS"
"""Names the file of clusters; default `clusters.yaml` beside the folder of the streams."""

CLUSTERS_FILE = "clusters.yaml"
"""Name of the file of clusters."""

PRIMARY = "primary"
"""Name of the one cluster where no file declares any."""

_SECRET = re.compile(r"password|secret|token|jaas|ssl\.key\.pem")
"""Found in the names of a Kafka client's properties that hold a secret."""


@dataclass(frozen=True)
class Cluster:
    """A Kafka cluster.

    Attributes:
        name: lower-case letters, digits and dashes; no dot, so that a topic's prefix ends where the name does.
        bootstrap_servers: `host:port[,host:port…]`.
        properties: further ones as librdkafka's clients take them; secrets of declared clusters by reference only.
    """

    name: str
    bootstrap_servers: str
    properties: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def client_properties(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return what a client of this cluster is made with, secrets looked up: never to be shown or kept.

        Raises:
            Terminal: a secret is not where its reference says.
        """
        found = {
            key: read_secret(value, env) if is_secret(key) and re.match(REFERENCE, value) else value
            for key, value in self.properties.items()
        }
        return {"bootstrap.servers": self.bootstrap_servers, **found}


@dataclass(frozen=True)
class StreamClusters:
    """Where one stream lives."""

    primary: Cluster
    standby: Cluster | None = None

    @property
    def all(self) -> tuple[Cluster, ...]:
        """The primary, then the standby if there is one."""
        return (self.primary,) if self.standby is None else (self.primary, self.standby)

    def topic_on(self, cluster: str, topic: str) -> str:
        """Return what the stream's topic is called on one of its clusters."""
        return topic if cluster == self.primary.name else standby_topic(cluster, topic)


@dataclass(frozen=True)
class Clusters:
    """All declared clusters, and where a stream lives that does not say otherwise.

    Attributes:
        declared: by name, in the file's order; never empty.
        primary: name of the default primary.
        standby: name of the default standby; None when there is none.
        file: where they are declared; None where no file is, and then there is one cluster.
    """

    declared: Mapping[str, Cluster] = field(hash=False)
    primary: str = PRIMARY
    standby: str | None = None
    file: Path | None = None

    @classmethod
    def alone(cls, kafka: Mapping[str, str] | None = None) -> Clusters:
        """Return the one cluster that the settings name; without properties its address is empty."""
        properties = dict(kafka or {})
        cluster = Cluster(PRIMARY, properties.pop("bootstrap.servers", ""), properties)
        return cls({PRIMARY: cluster})

    def names(self, stream: StreamSpec) -> tuple[str, str | None]:
        """Return the names of the stream's primary and standby, declared or not."""
        said = stream.clusters
        primary = (said and said.primary) or self.primary
        standby = (said and said.standby) or self.standby
        return primary, None if standby == NO_CLUSTER else standby

    def of(self, stream: StreamSpec) -> StreamClusters:
        """Return where a stream lives.

        Raises:
            InvalidSpec: it names a cluster that is not declared (the loader would have said so).
        """
        primary, standby = self.names(stream)
        return StreamClusters(self.cluster(primary), None if standby is None else self.cluster(standby))

    def cluster(self, name: str) -> Cluster:
        """Return the cluster of that name.

        Raises:
            InvalidSpec: there is none; names those that there are.
        """
        if name not in self.declared:
            message = f"no cluster {name!r} is declared"
            raise InvalidSpec(message, mend=f"Declared are: {', '.join(self.declared)}.", file=str(self.file or ""))
        return self.declared[name]

    def home(self, topic: str) -> tuple[str | None, str]:
        """Return of a topic's name, as rows have it, the cluster whose name it carries, and the stream's topic.

        None for the cluster stands for the stream's primary.
        """
        return topic_home(topic, self.declared if self.file else ())


def standby_topic(cluster: str, topic: str) -> str:
    """Return the name of a stream's topic (or its dead letters', or a replay topic) on the standby cluster."""
    return f"{cluster}.{topic}"


def topic_home(topic: str, clusters: Iterable[str]) -> tuple[str | None, str]:
    """Return what `standby_topic` put together, or None and the topic itself where it carries no cluster's name.

    Unambiguous: a cluster's name has no dot, and no declared topic begins with a declared cluster's name and a dot.
    """
    head, dot, rest = topic.partition(".")
    return (head, rest) if dot and rest and head in set(clusters) else (None, topic)


def is_secret(name: str) -> bool:
    """Whether a Kafka client's property of that name holds a secret."""
    return bool(_SECRET.search(name))


def is_cluster_name(name: str) -> bool:
    """Whether a cluster may have that name."""
    return name != NO_CLUSTER and re.match(CLUSTER_PATTERN, name) is not None


def clusters_file(streams: Path, env: Mapping[str, str] | None = None) -> Path | None:
    """Return the file that declares the clusters of the streams in that folder; None when there is none.

    That is the one that the environment names, whether it is there or not; else the one beside the folder; else the one
    beside the settings file, which is where the embedded stack writes one that was given a standby.
    """
    env = os.environ if env is None else env
    if named := env.get(CLUSTERS_VARIABLE):
        return Path(named)
    places = (streams.absolute().parent, settings_file(env).absolute().parent)
    return next((file for place in places if (file := place / CLUSTERS_FILE).is_file()), None)
