"""What the control plane asks of a Kafka cluster: topics and how far they reach. It never reads an event."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from types import MappingProxyType
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from keystone_platform.envelope import MAX_EVENT_BYTES
from keystone_platform.errors import Terminal, Transient, UnknownOutcome
from keystone_platform.spec.clusters import CLUSTERS_FILE

MAX_MESSAGE_BYTES = MAX_EVENT_BYTES
"""Largest record of a topic that Keystone creates: a payload of 10 MB with its headers and framing."""

TOPIC_DEFAULTS: Mapping[str, str] = MappingProxyType({"max.message.bytes": str(MAX_MESSAGE_BYTES)})
"""Configuration of a topic that Keystone creates, where the caller says nothing else."""

ANY_TIMESTAMP: Mapping[str, str] = MappingProxyType({"message.timestamp.after.max.ms": str(2**63 - 1)})
"""Of topics that routers write: a timestamp that the source topic took must not be refused there, again and again."""

REQUEST_TIMEOUT_S = 10.0
"""How long one request may take, the first connection included."""

_UNREACHABLE = frozenset({KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN})

_SETTLING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)
"""A topic was just created or a leader moved: gone in a moment, and librdkafka does not retry these requests."""


@dataclass(frozen=True)
class Offsets:
    """How far a topic reaches, per partition.

    Attributes:
        begin: offset of the oldest record that is kept.
        end: offset that the next record gets. Both have the same keys; empty when there is no such topic.
    """

    begin: Mapping[int, int]
    end: Mapping[int, int]

    @property
    def span(self) -> int:
        """Offsets from begin to end; more than the records where the topic holds transactions."""
        return sum(self.end[partition] - self.begin[partition] for partition in self.end)


Moment = tuple[str, datetime]
"""A topic and a time."""


class KafkaGateway(Protocol):
    """A Kafka cluster. Every call blocks for a few requests of at most `REQUEST_TIMEOUT_S` each.

    Each raises Transient when the cluster does not answer and Terminal when it refuses (not allowed, bad value).
    """

    def ensure_topic(self, name: str, partitions: int, config: Mapping[str, str] | None = None) -> bool:
        """Create the topic unless it exists; an existing one is left as it is. Return whether it was created.

        `config` is added to TOPIC_DEFAULTS; the replication factor is the cluster's default. Raises UnknownOutcome
        when the request went out and no answer came; calling again is safe.
        """
        ...

    def offsets(self, topic: str) -> Offsets:
        """Return where each partition begins and ends now; without partitions if the topic does not exist."""
        ...

    def ends(self, topics: Collection[str]) -> Mapping[str, int]:
        """Return of each topic the sum of where its partitions end; one that does not exist is left out.

        Two requests, however many topics.
        """
        ...

    def reached(self, asked: Collection[Moment]) -> Mapping[Moment, int | None]:
        """Return how far each topic had come at a time: the sum of its partitions' offsets of the first later record.

        A record at that very time is later. None where a partition's records of before are no longer all kept, or the
        topic does not exist. Three requests and one a different time, however many topics.
        """
        ...

    def largest_record(self, topic: str) -> int | None:
        """Return how many bytes a batch of records in the topic may have; None if the topic does not exist."""
        ...

    def largest_transaction_timeout_s(self) -> float:
        """Return the longest transaction timeout that the brokers grant, in seconds."""
        ...

    def offsets_at(self, topic: str, *times: datetime) -> tuple[Mapping[int, int], ...]:
        """Return for each time, per partition, the offset of the first record that is not older, else where it ends.

        Of what is kept: a record that was deleted is not found. No partition where there is no such topic.
        """
        ...


class ConfluentKafka:
    """KafkaGateway over librdkafka's admin client.

    Args:
        properties: as a Kafka client takes them; at least `bootstrap.servers`.
        timeout_s: how long one request may take.
        cluster: its name in clusters.yaml; None of the one that the settings name.
    """

    def __init__(
        self, properties: Mapping[str, str], timeout_s: float = REQUEST_TIMEOUT_S, cluster: str | None = None
    ) -> None:
        self._cluster = cluster
        self._bootstrap = properties["bootstrap.servers"]
        self._timeout_s = timeout_s
        # log_level 0: a broker that is down is told by the errors below, not by librdkafka on stderr.
        self._admin = AdminClient({"log_level": 0, "socket.timeout.ms": int(timeout_s * 1000), **properties})

    def ensure_topic(self, name: str, partitions: int, config: Mapping[str, str] | None = None) -> bool:
        if self._partitions(name) is not None:
            return False
        topic = NewTopic(name, num_partitions=partitions, config={**TOPIC_DEFAULTS, **(config or {})})
        asked = f"create topic {name}"
        try:
            self._answer(asked, self._admin.create_topics([topic], request_timeout=self._timeout_s)[name])
        except _Refusal as refusal:
            if refusal.code == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise
        except Transient as error:
            message = f"no answer whether topic {name} was created"
            raise UnknownOutcome(message, mend=error.mend) from error
        return True

    def offsets(self, topic: str) -> Offsets:
        partitions, settled = self._partitions(topic) or (), self._settled()
        begin = settled(self._list, topic, partitions, OffsetSpec.earliest())
        return Offsets(begin=begin, end=settled(self._list, topic, partitions, OffsetSpec.latest()))

    def ends(self, topics: Collection[str]) -> Mapping[str, int]:
        ends: dict[str, int] = {}
        for place, end in self._settled()(self._at, self._places(topics), OffsetSpec.latest()).items():
            ends[place.topic] = ends.get(place.topic, 0) + end
        return ends

    def reached(self, asked: Collection[Moment]) -> Mapping[Moment, int | None]:
        places = self._places({topic for topic, _ in asked})
        begin, end = self._at(places, OffsetSpec.earliest()), self._at(places, OffsetSpec.latest())
        found: dict[Moment, int | None] = dict.fromkeys(asked)
        for time in {time for _, time in asked}:
            there = [place for place in places if (place.topic, time) in found]
            firsts = self._at(there, OffsetSpec.for_timestamp(int(time.timestamp() * 1000)))
            for topic, of_topic in groupby(firsts.items(), key=lambda item: item[0].topic):
                reached = [_reached(first, begin[place], end[place]) for place, first in of_topic]
                known = [each for each in reached if each is not None]
                found[topic, time] = sum(known) if len(known) == len(reached) else None
        return found

    def largest_record(self, topic: str) -> int | None:
        if self._partitions(topic) is None:
            return None
        return int(self._setting(ConfigResource(ConfigResource.Type.TOPIC, topic), "max.message.bytes"))

    def largest_transaction_timeout_s(self) -> float:
        # not by list_topics: its call may end without an answer and without an error
        nodes = self._answer(
            "describe the cluster", self._admin.describe_cluster(request_timeout=self._timeout_s)
        ).nodes
        brokers = [ConfigResource(ConfigResource.Type.BROKER, str(node.id)) for node in nodes]
        return min(int(self._setting(broker, "transaction.max.timeout.ms")) for broker in brokers) / 1000

    def offsets_at(self, topic: str, *times: datetime) -> tuple[Mapping[int, int], ...]:
        end = self.offsets(topic).end  # before the others: what comes meanwhile is behind it
        specs = [OffsetSpec.for_timestamp(int(time.timestamp() * 1000)) for time in times]
        found = [self._settled()(self._list, topic, tuple(end), spec) for spec in specs]
        return tuple({part: at if 0 <= at < end[part] else end[part] for part, at in each.items()} for each in found)

    def _setting(self, of: ConfigResource, name: str) -> str:
        described = self._admin.describe_configs([of], request_timeout=self._timeout_s)
        value = self._answer(f"describe the configuration of {of.restype.name.lower()} {of.name}", described[of])[name]
        return str(value.value)

    def _partitions(self, topic: str) -> tuple[int, ...] | None:
        # Not list_topics(topic): that asks for metadata in the way that lets a broker create the topic.
        described = self._admin.describe_topics(TopicCollection([topic]), request_timeout=self._timeout_s)
        try:
            return tuple(part.id for part in self._answer(f"describe topic {topic}", described[topic]).partitions)
        except _Refusal as refusal:
            if refusal.code == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise

    def _settled(self) -> Retrying:
        """Return what calls again until a topic that was just made, or a leader that just moved, has settled."""
        return Retrying(
            retry=retry_if_exception_type(Transient),
            stop=stop_after_delay(self._timeout_s),
            wait=wait_fixed(0.2),
            reraise=True,
        )

    def _places(self, topics: Collection[str]) -> list[TopicPartition]:
        """Return the partitions of those topics that exist, each topic's in order."""
        if not topics:
            return []
        described = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=self._timeout_s)
        places = []
        for topic, future in described.items():
            try:
                partitions = self._answer(f"describe topic {topic}", future).partitions
            except _Refusal as refusal:
                if refusal.code != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
            else:
                places += [TopicPartition(topic, number) for number in sorted(each.id for each in partitions)]
        return places

    def _at(self, places: Collection[TopicPartition], spec: OffsetSpec) -> dict[TopicPartition, int]:
        """Return each partition's offset by that specification, in the order of the places."""
        if not places:
            return {}
        futures = self._admin.list_offsets(dict.fromkeys(places, spec), request_timeout=self._timeout_s)
        return {place: self._answer(f"list offsets of {place.topic}", futures[place]).offset for place in places}

    def _list(self, topic: str, partitions: tuple[int, ...], spec: OffsetSpec) -> dict[int, int]:
        if not partitions:
            return {}
        asked = {TopicPartition(topic, partition): spec for partition in partitions}
        futures = self._admin.list_offsets(asked, request_timeout=self._timeout_s)
        answers = {key.partition: self._answer(f"list offsets of {topic}", future) for key, future in futures.items()}
        return {partition: answer.offset for partition, answer in answers.items()}

    def _answer(self, asked: str, future: Future[Any]) -> Any:  # noqa: ANN401 - each request has its own answer
        try:
            return future.result(timeout=self._timeout_s + 1)
        except TimeoutError as error:
            raise self._unreachable() from error
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if reason.code() in _UNREACHABLE:
                raise self._unreachable() from error
            if reason.code() in _SETTLING:
                message = f"Kafka at {self._bootstrap} could not yet {asked}: {reason.str()}"
                raise Transient(message) from error
            message = f"Kafka at {self._bootstrap} refused to {asked}: {reason.str()}"
            raise _Refusal(message, code=reason.code()) from error

    def _unreachable(self) -> Transient:
        place = (
            f"its bootstrap_servers in {CLUSTERS_FILE}"
            if self._cluster
            else "kafka's bootstrap.servers in the settings"
        )
        mend = f"Start it (`keystone up` for the embedded stack), or set {place}."
        named = f"Kafka's cluster {self._cluster}" if self._cluster else "Kafka"
        return Transient(f"{named} does not answer at {self._bootstrap}", mend=mend)


def _reached(first: int, begin: int, end: int) -> int | None:
    """Return how far a partition had come, by the first record that is not older: -1 when there is none."""
    if 0 <= first <= begin != 0:  # something older was there and was deleted
        return None
    return end if first < 0 else first


class _Refusal(Terminal):
    """The cluster answered no, for the reason of that code."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(what, mend="See the broker's log, and what this client is allowed to do.")
        self.code = code
