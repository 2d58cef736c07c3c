"""Rules between streams and clusters: what a stream names is there, and no topic can be taken for another cluster's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from keystone_platform.errors import InvalidSpec
from keystone_platform.spec.candidate import Candidate
from keystone_platform.spec.clusters import Clusters, standby_topic
from keystone_platform.spec.models import RouteSpec, StreamSpec, replay_topic
from keystone_platform.spec.names import LONGEST_TOPIC
from keystone_platform.spec.yaml_tree import NodePath


def on_clusters(candidates: Sequence[Candidate], clusters: Clusters) -> Iterator[InvalidSpec]:
    """Yield every breach, each at the place in the stream's file."""
    for stream in candidates:
        yield from _named(stream, clusters)
        yield from _prefixed(stream, clusters)
        yield from _too_long(stream, clusters)


def _named(stream: Candidate, clusters: Clusters) -> Iterator[InvalidSpec]:
    said = stream.spec.clusters
    if said is None:
        return
    primary, standby = clusters.names(stream.spec)
    for key, name in (("primary", primary), ("standby", standby)):
        if getattr(said, key) is not None and name is not None and name not in clusters.declared:
            where = f"in {clusters.file}" if clusters.file else "without a clusters.yaml"
            mend = f"Declared are: {', '.join(clusters.declared)}."
            yield stream.error(("clusters", key), f"no cluster {name!r} is declared {where}", mend)
    if primary == standby:
        mend = "Name another standby, or `none`."
        yield stream.error(("clusters",), f"primary and standby are both {primary!r}", mend)


def _prefixed(stream: Candidate, clusters: Clusters) -> Iterator[InvalidSpec]:
    """Yield topics that begin like those of a cluster: a row tells its cluster by that."""
    topics: list[tuple[NodePath, str]] = [(("topic",), stream.spec.topic_name)]
    for index, route in enumerate(stream.spec.routes):
        if route.sink.kafka:
            topics.append((("routes", index, "sink", "kafka", "topic"), route.sink.kafka.topic))
    for place, topic in topics:
        cluster, _ = clusters.home(topic)
        if cluster:
            what = f"the topic {topic!r} begins like one of the cluster {cluster!r}"
            yield stream.error(place, what, "Rename the topic, or the cluster.")


def _too_long(stream: Candidate, clusters: Clusters) -> Iterator[InvalidSpec]:
    _, standby = clusters.names(stream.spec)
    if standby is None:
        return
    excess = len(standby_topic(standby, _longest(stream.spec))) - LONGEST_TOPIC
    if excess > 0:
        what = f"on the cluster {standby!r} the names of its topics are {excess} characters too long"
        mend = f"Kafka takes {LONGEST_TOPIC}: shorten the topic's name, or the cluster's."
        yield stream.error(("topic",), what, mend)


def _longest(stream: StreamSpec) -> str:
    def replay(route: RouteSpec) -> str:
        return replay_topic(stream, route)

    return max((stream.dead_letter_topic, *map(replay, stream.routes)), key=len)
