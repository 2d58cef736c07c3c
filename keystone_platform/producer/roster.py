"""The clusters that a producer was given, and which of them each stream may go to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from keystone_platform.producer.terms import Site, StreamTerms, Terms

PRIMARY = "primary"
"""Name of a single cluster, unless it is given another or the terms know one."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")

Value = str | int | float | bool

Properties = Mapping[str, Value]


@dataclass(frozen=True)
class Cluster:
    """A Kafka cluster by the name that its events are counted under.

    Attributes:
        kafka: properties as a Kafka client takes them; at least `bootstrap.servers`. They may hold secrets.
    """

    name: str
    kafka: Properties = field(repr=False)

    def __post_init__(self) -> None:
        """Raise ValueError where there is no address, or what is no value of a property."""
        wrong = [key for key, value in self.kafka.items() if not isinstance(value, str | int | float | bool)]
        if wrong:
            message = (
                f"{wrong[0]} of cluster {self.name}: {type(self.kafka[wrong[0]]).__name__} is no value of a property"
            )
            raise ValueError(message)
        servers = self.kafka.get("bootstrap.servers") or self.kafka.get("metadata.broker.list")
        if not isinstance(servers, str) or not servers:
            message = f"cluster {self.name} has no address: give `bootstrap.servers` as host:port,host:port"
            raise ValueError(message)


@dataclass(frozen=True)
class Roster:
    """What a producer can reach.

    Attributes:
        clusters: by name, the preferred one first; never empty.
        takes_all: it is one cluster that stands for whichever a stream lives on, under the topic's plain name.
    """

    clusters: Mapping[str, Cluster]
    takes_all: bool = False

    @classmethod
    def of(cls, kafka: Properties | Mapping[str, Properties], name: str | None, terms: Terms | None) -> Roster:
        """Return the roster of one cluster's properties, or of several clusters' by name.

        Raises:
            ValueError: both forms are mixed, a name can't be a topic's prefix, or `name` comes with several clusters.
        """
        several = {key: value for key, value in kafka.items() if isinstance(value, Mapping)}
        if not several:
            alone = name or _only_primary(terms) or PRIMARY
            plain = {key: value for key, value in kafka.items() if not isinstance(value, Mapping)}
            return cls.single(Cluster(alone, plain))
        if len(several) < len(kafka):
            message = f"properties of clusters and names of properties are mixed: {', '.join(sorted(kafka))}"
            raise ValueError(message)
        if name is not None:
            message = f"cluster={name!r} names a single cluster; here each has its name: {', '.join(several)}"
            raise ValueError(message)
        for each in several:
            if not _NAME.fullmatch(each):
                message = f"{each!r} is no name of a cluster: letters, digits, _ and -, as it precedes topics' names"
                raise ValueError(message)
        return cls({key: Cluster(key, value) for key, value in several.items()})

    @classmethod
    def single(cls, cluster: Cluster) -> Roster:
        """Return the roster of one cluster that takes every stream."""
        return cls({cluster.name: cluster}, takes_all=True)

    @property
    def first(self) -> Cluster:
        """The preferred one."""
        return next(iter(self.clusters.values()))

    def sites(self, terms: StreamTerms) -> tuple[Site, ...]:
        """Return where the stream may go, the preferred cluster first; empty if none of its clusters is here."""
        if self.takes_all:
            return (Site(self.first.name, terms.topic),)
        if terms.clusters:
            return tuple(site for site in terms.clusters if site.cluster in self.clusters)
        first, *others = self.clusters
        return (Site(first, terms.topic), *(Site.standby(other, terms.topic) for other in others))

    def audit_sites(self, terms: Terms) -> tuple[Site, ...]:
        """Return where audit events may go, the preferred cluster first; empty if nowhere."""
        if terms.audit_topic is None:
            return ()
        known = tuple(site for site in terms.audit_clusters if site.cluster in self.clusters)
        return known if known and not self.takes_all else (Site(self.first.name, terms.audit_topic),)

    def topic(self, cluster: str, terms: StreamTerms) -> str:
        """Return what the stream's topic is called on that cluster."""
        return next((site.topic for site in self.sites(terms) if site.cluster == cluster), terms.topic)

    def absent(self, terms: Terms | None) -> frozenset[str]:
        """Return the clusters that declared streams live on and that were not given."""
        if terms is None or self.takes_all:
            return frozenset()
        named = {site.cluster for each in terms.streams.values() for site in each.clusters}
        return frozenset(named - set(self.clusters))


def renamed(terms: StreamTerms, topic: str) -> StreamTerms:
    """Return the terms with another topic, on every cluster that the stream lives on."""
    first, *others = terms.clusters or [None]
    if first is None:
        return replace(terms, topic=topic)
    sites = (Site(first.cluster, topic), *(Site.standby(other.cluster, topic) for other in others if other))
    return replace(terms, topic=topic, clusters=sites)


def _only_primary(terms: Terms | None) -> str | None:
    """Return the primary of all streams, if they have one and the same."""
    found = {each.clusters[0].cluster for each in terms.streams.values() if each.clusters} if terms else set()
    return found.pop() if len(found) == 1 else None
