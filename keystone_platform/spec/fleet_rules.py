"""Rules across all streams: what belongs to one of them only, and ways that lead in a circle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from keystone_platform.errors import InvalidSpec
from keystone_platform.spec.candidate import Candidate
from keystone_platform.spec.models import replay_topic
from keystone_platform.spec.names import DEAD_LETTER_NAMESPACE, DEAD_LETTER_SUFFIX
from keystone_platform.spec.yaml_tree import NodePath


@dataclass(frozen=True)
class _Claim:
    """A name that only one place of the fleet may have."""

    name: str
    owner: Candidate
    path: NodePath


def across(candidates: Sequence[Candidate]) -> Iterator[InvalidSpec]:
    """Yield every breach; where places contradict each other, each of them gets an error that names the others."""
    streams = [_Claim(each.spec.stream, each, ("stream",)) for each in candidates]
    yield from _contested(streams, "the stream name {name!r} is taken", "Give one of them another name.")
    topics = [_Claim(each.spec.topic_name, each, ("topic",)) for each in candidates]
    yield from _contested(
        topics, "the topic {name!r} belongs to another stream", "Declare a topic's routes in one file."
    )
    yield from _colliding_topics(topics)
    tables = [
        _Claim(route.sink.warehouse.table, each, ("routes", index, "sink", "warehouse", "table"))
        for each in candidates
        for index, route in enumerate(each.spec.routes)
        if route.sink.warehouse
    ]
    yield from _contested(tables, "two routes write into the table {name!r}", "Give each route a table of its own.")
    yield from _reserved_tables(tables)
    indexes = [
        _Claim(route.sink.search.index, each, ("routes", index, "sink", "search", "index"))
        for each in candidates
        for index, route in enumerate(each.spec.routes)
        if route.sink.search
    ]
    yield from _contested(indexes, "two routes write into the index {name!r}", "Give each route an index of its own.")
    yield from _kafka_sinks(candidates)


def _reserved_tables(tables: Iterable[_Claim]) -> Iterator[InvalidSpec]:
    for claim in tables:
        if claim.name.startswith(f"{DEAD_LETTER_NAMESPACE}."):
            what = f"the namespace {DEAD_LETTER_NAMESPACE!r} holds landed dead letters"
            yield claim.owner.error(claim.path, what, "Name a table of another namespace.")


def _contested(claims: Iterable[_Claim], what: str, mend: str) -> Iterator[InvalidSpec]:
    by_name: dict[str, list[_Claim]] = defaultdict(list)
    for claim in claims:
        by_name[claim.name].append(claim)
    for name, same in by_name.items():
        for claim in same if len(same) > 1 else ():
            others = ", ".join(other.owner.place(other.path) for other in same if other is not claim)
            yield claim.owner.error(claim.path, f"{what.format(name=name)}, see {others}", mend)


def _colliding_topics(topics: Sequence[_Claim]) -> Iterator[InvalidSpec]:
    """Kafka refuses to create a topic that differs from another only by `.` and `_` (their metrics would collide)."""
    alike: dict[str, list[_Claim]] = defaultdict(list)
    for claim in topics:
        alike[_metric(claim.name)].append(claim)
    for claim in topics:
        other = next((t for t in alike[_metric(claim.name)] if t.name != claim.name), None)
        if other:
            what = f"the topics {claim.name!r} and {other.name!r} differ only by `.` and `_`, which Kafka refuses"
            yield claim.owner.error(claim.path, f"{what}, see {other.owner.place(other.path)}", "Rename one of them.")


def _metric(topic: str) -> str:
    return topic.replace(".", "_")


def _kafka_sinks(candidates: Sequence[Candidate]) -> Iterator[InvalidSpec]:
    dead_letters = {each.spec.dead_letter_topic for each in candidates}
    replays = {replay_topic(each.spec, route) for each in candidates for route in each.spec.routes}
    onward: dict[str, set[str]] = defaultdict(set)
    for each in candidates:
        onward[each.spec.topic_name].update(route.sink.kafka.topic for route in each.spec.routes if route.sink.kafka)
    for each in candidates:
        for index, route in enumerate(each.spec.routes):
            if route.sink.kafka is None:
                continue
            target, path = route.sink.kafka.topic, ("routes", index, "sink", "kafka", "topic")
            if target in dead_letters or target.endswith(DEAD_LETTER_SUFFIX):
                what = f"{target!r} is for dead letters: topics that end in {DEAD_LETTER_SUFFIX} are Keystone's own"
                yield each.error(path, what, "Name another topic.")
            if target in replays:
                what = f"{target!r} is for a route's replayed dead letters"
                yield each.error(path, what, "Name another topic.")
            way = _way(onward, target, each.spec.topic_name)
            if way:
                what = f"events would go in a circle: {' -> '.join((each.spec.topic_name, *way))}"
                yield each.error(path, what, "Name a topic that does not lead back to this stream.")


def _way(onward: dict[str, set[str]], start: str, end: str) -> tuple[str, ...]:
    """Return the topics from `start` to `end` along the routes, both included; empty when there is no way."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    while ways:
        way = ways.pop(0)
        if way[-1] == end:
            return way
        nexts = sorted(onward.get(way[-1], set()) - seen)
        seen.update(nexts)
        ways += [(*way, topic) for topic in nexts]
    return ()
