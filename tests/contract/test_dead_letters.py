"""Replays on a real broker: each event once, whatever happens to the one who sends."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from keystone_platform import envelope
from keystone_platform.audit.records import Record, read_records
from keystone_platform.dead_letters.replay import Replay, ReplayTarget
from keystone_platform.dead_letters.scan import Selection, letters
from keystone_platform.dead_letters.sending import ReplayProducer
from keystone_platform.errors import Conflict, Terminal
from keystone_platform.gateways.kafka import ConfluentKafka

pytestmark = pytest.mark.stack

WHEN_MS = 1_500_000_000_000


def silent(read: int, total: int) -> None:
    """Nobody watches."""


@pytest.fixture
def stream(kafka_properties: Mapping[str, str]) -> str:
    """A stream of its own, with the topics of two routes."""
    name = f"s{uuid.uuid4().hex[:12]}"
    kafka = ConfluentKafka(kafka_properties)
    for topic in (f"{name}.dlq", f"{name}.replay.one", f"{name}.replay.two"):
        kafka.ensure_topic(topic, 1)
    return name


def bury(
    properties: Mapping[str, str],
    stream: str,
    *offsets: int,
    route: str = "one",
    digest: str = "old",
    topic: str = "",
    code: str = "not_json",
) -> None:
    """Write letters as a router does."""
    producer = Producer(properties)
    for offset in offsets:
        headers = {
            "mine": b"x",
            envelope.DLQ_ROUTE: f"{stream}.{route}",
            envelope.DLQ_CODE: code,
            envelope.DLQ_DIGEST: digest,
            envelope.DLQ_TOPIC: topic or stream,
            envelope.DLQ_PARTITION: "2",
            envelope.DLQ_OFFSET: str(offset),
        }
        producer.produce(f"{stream}.dlq", f"payload {offset}", f"key {offset}", headers=headers, timestamp=WHEN_MS)
    assert producer.flush(20) == 0


def replays(properties: Mapping[str, str], stream: str, *, same_plan: bool = False) -> Replay:
    targets = {
        f"{stream}.{name}": ReplayTarget(f"{stream}.{name}", f"{stream}.replay.{name}", "new")
        for name in ("one", "two")
    }
    return Replay(properties, ConfluentKafka(properties), stream, f"{stream}.dlq", targets, same_plan=same_plan)


def replayed(properties: Mapping[str, str], stream: str, route: str = "one") -> list[Record]:
    topic = f"{stream}.replay.{route}"
    span = ConfluentKafka(properties).offsets(topic)
    return [record for batch in read_records(properties, topic, span) for record in batch]


def test_each_event_is_given_to_its_route_once_and_to_no_other(
    kafka_properties: Mapping[str, str], stream: str
) -> None:
    bury(kafka_properties, stream, *range(5))
    bury(kafka_properties, stream, 2, 3)  # a router that restarted wrote them again
    bury(kafka_properties, stream, 4, route="two")
    verdict = replays(kafka_properties, stream).run(Selection(route=f"{stream}.one"), silent)
    counts = verdict.routes[f"{stream}.one"]
    assert (counts.letters, counts.repeated, counts.sent) == (7, 2, 5)
    found = replayed(kafka_properties, stream)
    assert [(record.value, record.key, record.timestamp_ms) for record in found] == [
        (f"payload {number}".encode(), f"key {number}".encode(), WHEN_MS) for number in range(5)
    ]
    assert found[0].headers == {
        "mine": b"x",
        envelope.REPLAY_LETTER: f"{stream}.dlq:0:0".encode(),
        envelope.REPLAY_SOURCE: f"{stream}:2:0".encode(),
    }
    assert replayed(kafka_properties, stream, "two") == []
    again = replays(kafka_properties, stream).run(Selection(), silent)
    assert (again.routes[f"{stream}.one"].sent, again.routes[f"{stream}.two"].sent) == (0, 1)


def test_an_event_that_died_again_can_be_replayed_again(kafka_properties: Mapping[str, str], stream: str) -> None:
    bury(kafka_properties, stream, 7)
    replays(kafka_properties, stream).run(Selection(), silent)
    bury(kafka_properties, stream, 0, topic=f"{stream}.replay.one")
    assert replays(kafka_properties, stream).run(Selection(), silent).sent == 1
    assert replays(kafka_properties, stream).run(Selection(), silent).sent == 0


def test_what_would_die_again_is_not_sent_unasked(kafka_properties: Mapping[str, str], stream: str) -> None:
    bury(kafka_properties, stream, 1, digest="new")
    bury(kafka_properties, stream, 2, route="gone")
    verdict = replays(kafka_properties, stream).run(Selection(), silent)
    assert (verdict.sent, verdict.routes[f"{stream}.one"].unchanged) == (0, 1)
    assert verdict.strangers == {f"{stream}.gone": 1}
    assert replays(kafka_properties, stream, same_plan=True).run(Selection(), silent).sent == 1
    after = replays(kafka_properties, stream).preview(Selection(), silent).routes[f"{stream}.one"]
    assert (after.unchanged, after.repeated) == (0, 1)


def test_the_beginning_of_an_event_is_not_sent_as_if_it_were_the_event(
    kafka_properties: Mapping[str, str], stream: str
) -> None:
    bury(kafka_properties, stream, 1, code="too_large")
    counts = replays(kafka_properties, stream, same_plan=True).run(Selection(), silent).routes[f"{stream}.one"]
    assert (counts.letters, counts.cut, counts.sent) == (1, 1, 0)


def test_a_preview_sends_nothing(kafka_properties: Mapping[str, str], stream: str) -> None:
    bury(kafka_properties, stream, 1, 2)
    assert replays(kafka_properties, stream).preview(Selection(), silent).sent == 2
    assert replayed(kafka_properties, stream) == []


def test_a_replay_that_died_half_way_is_finished_by_the_next(kafka_properties: Mapping[str, str], stream: str) -> None:
    bury(kafka_properties, stream, *range(3))
    topic = f"{stream}.dlq"
    (batch,) = letters(kafka_properties, topic, ConfluentKafka(kafka_properties).offsets(topic), Selection())
    dead = ReplayProducer(kafka_properties, stream)
    dead.__enter__()
    dead.send(f"{stream}.replay.one", batch[0])
    dead.commit()
    dead.send(f"{stream}.replay.one", batch[1])  # and nobody ever commits this one
    verdict = replays(kafka_properties, stream).run(Selection(), silent)
    assert (verdict.sent, verdict.routes[f"{stream}.one"].repeated) == (2, 1)
    assert [record.value for record in replayed(kafka_properties, stream)] == [b"payload 0", b"payload 1", b"payload 2"]
    with pytest.raises(Conflict, match="another replay"):
        dead.commit()


def test_a_replay_topic_that_lost_records_is_not_trusted(kafka_properties: Mapping[str, str], stream: str) -> None:
    bury(kafka_properties, stream, 1)
    replays(kafka_properties, stream).run(Selection(), silent)
    admin = AdminClient(kafka_properties)
    for future in admin.delete_records([TopicPartition(f"{stream}.replay.one", 0, 1)]).values():
        future.result(20)
    with pytest.raises(Terminal, match="lost records"):
        replays(kafka_properties, stream).run(Selection(), silent)
