"""Routes into Kafka on the real servers: what goes on, under which key, how often; a killed TaskManager included."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from keystone_platform import envelope
from keystone_platform.audit.records import Record, read_records
from keystone_platform.audit.truth import RouteTruth, Start, audit_route
from keystone_platform.control.goals import wanted
from keystone_platform.control.reconcile import reconcile
from keystone_platform.plan.deployment import Cause
from tests.e2e.platform import Platform, wait_for

pytestmark = pytest.mark.stack

STREAM = "onward"
EVENTS = 10_000
FIRST_MS = int(time.time() * 1000) - 3_600_000
"""Timestamp of the first event; Kafka deletes what is older than its retention."""

STREAM_YAML = """\
stream: onward
owner: team:tests
partitions: 2
schema: {n: bigint, country: string, device: {type: string, os: string}, at: timestamp, day: date, ratio: float}
routes:
  - name: raw
    sink: {kafka: {topic: onward.raw}}
    checkpoint_interval_s: 2
  - name: chosen
    sink: {kafka: {topic: onward.chosen, key: device.type, delivery: exactly_once}}
    filter: "country <> 'BR'"
    select: [n, {kind: device.type}, device, at, day, ratio]
    checkpoint_interval_s: 2
"""

ODD: tuple[bytes | None, ...] = (
    None,
    b"",
    b"\x00\xff\xfe",
    b'{"n": 1, ',
    b'{"country": "US"}',
    '{"country": "DE", "device": {"type": "\u00e9\u2028\\"\\u0000\U0001f600"}, "ratio": -0.0}'.encode(),
    b'{"country": "DE", "at": "0001-01-01T00:00:00Z", "day": "9999-12-31", "ratio": 3.4028235e38}',
    b'{"country": "DE", "at": "9999-12-31T23:59:59.999999Z", "n": -9223372036854775808}',
)
"""Values that come again and again among the others."""


def payload(number: int) -> bytes | None:
    if number % 20 < len(ODD):
        return ODD[number % 20]
    device = {"type": ("tv", "phone", "web")[number % 3], "os": None}
    at = f"2026-03-01T12:00:00.{number:06d}Z"
    document = {"n": number, "country": ("US", "BR")[number % 2], "device": device, "at": at, "x": "y" * 200}
    return json.dumps(document).encode()


def send(platform: Platform, numbers: range) -> None:
    """Send the events of these numbers; every third without key, some headers twice, without bytes or without value."""
    producer = Producer({**platform.settings.kafka, "enable.idempotence": True})
    for number in numbers:
        headers: list[tuple[str, bytes | None]] = [("trace", b"\xff"), ("empty", b""), ("nothing", None)]
        if number % 5:
            headers += [(envelope.CE_ID, f"guid-{number}".encode()), ("trace", b"\xfe")]
        key = None if number % 3 == 0 else b"key-%d" % (number % 7)
        producer.produce(STREAM, value=payload(number), key=key, headers=headers, timestamp=FIRST_MS + number)
        producer.poll(0)
        if number % 1_000 == 999:
            assert producer.flush(60) == 0
            time.sleep(0.4)
    assert producer.flush(60) == 0


def records(platform: Platform, topic: str) -> list[Record]:
    """Return the committed records of the topic."""
    span = platform.gateways.kafka.offsets(topic)
    return [record for batch in read_records(platform.settings.kafka, topic, span) for record in batch]


def settled(platform: Platform, route: str, start: Start | None = None) -> RouteTruth:
    """Return the route's truth when nothing is missing any more."""
    plan = platform.plan(route)

    def complete() -> RouteTruth | None:
        truth = audit_route(platform.settings, plan, start)
        return truth if not truth.lost else None

    return wait_for(f"every event of {route}", complete, 120)


@pytest.fixture(scope="module")
def after_the_kill(platform: Platform) -> Iterator[None]:
    """Both routes run; the TaskManager was killed while they had half of the events."""
    platform.declare(STREAM, STREAM_YAML)
    verdicts = reconcile(platform.gateways, wanted(platform.streams, ["onward.raw", "onward.chosen"]).goals)
    assert [verdict.message for verdict in verdicts if not verdict.ok] == []
    send(platform, range(EVENTS // 2))
    wait_for("first committed records", lambda: records(platform, "onward.chosen"), 90)
    send(platform, range(EVENTS // 2, EVENTS * 3 // 4))
    victim = platform.stack.pid("flink-taskmanager")
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    send(platform, range(EVENTS * 3 // 4, EVENTS))
    yield
    (platform.streams / f"{STREAM}.yaml").unlink()


def test_nothing_selected_means_bytes_key_headers_and_time_untouched_tombstones_included(
    platform: Platform, after_the_kill: None
) -> None:
    truth = settled(platform, "onward.raw")
    assert truth.is_complete, truth  # the audit compares key, value, time and headers byte by byte
    assert (truth.produced, truth.landed, truth.filtered, truth.dead) == (EVENTS, EVENTS, 0, 0)
    passed = records(platform, "onward.raw")
    assert sum(record.value is None for record in passed) >= EVENTS // 20
    assert sum(record.value == b"" for record in passed) >= EVENTS // 20


def test_headers_keep_order_and_repeated_names_but_one_without_value_is_lost(
    platform: Platform, after_the_kill: None
) -> None:
    settled(platform, "onward.raw")
    consumer = Consumer({**platform.settings.kafka, "group.id": "tests", "enable.partition.eof": True})
    consumer.assign([TopicPartition("onward.raw", partition, 0) for partition in range(2)])
    kept, open_partitions = set(), 2
    while open_partitions:
        message = consumer.poll(60)
        assert message is not None, "the broker says nothing"
        if message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF
            open_partitions -= 1
        else:
            kept.add(tuple((name, value) for name, value in message.headers() or () if name != envelope.CE_ID))
    consumer.close()
    assert kept == {(("trace", b"\xff"), ("empty", b"")), (("trace", b"\xff"), ("empty", b""), ("trace", b"\xfe"))}


def test_a_killed_task_manager_doubles_nothing_for_who_reads_committed(
    platform: Platform, after_the_kill: None
) -> None:
    truth = settled(platform, "onward.chosen")
    assert truth.is_exact, truth
    assert truth.produced == EVENTS == truth.landed + truth.filtered + truth.dead
    assert truth.dead == EVENTS // 20 * 4
    assert truth.landed == EVENTS // 20 * 10


def test_the_chosen_key_is_the_field_and_decides_the_partition(platform: Platform, after_the_kill: None) -> None:
    settled(platform, "onward.chosen")
    partitions: dict[bytes | None, set[int]] = {}
    for record in records(platform, "onward.chosen"):
        document = json.loads(record.value or b"")
        assert list(document) == ["n", "kind", "device", "at", "day", "ratio"]
        assert record.key == (document["kind"].encode() if document["kind"] is not None else None)
        partitions.setdefault(record.key, set()).add(record.partition)
    assert {key for key, where in partitions.items() if len(where) > 1} <= {None}
    assert {b"tv", b"phone", b"web", None} <= partitions.keys()


@pytest.mark.drill
def test_other_columns_filter_and_key_go_on_from_the_savepoint(platform: Platform, after_the_kill: None) -> None:
    settled(platform, "onward.chosen")
    before = len(records(platform, "onward.chosen"))
    changed = STREAM_YAML.replace("country <> 'BR'", "n >= 10000 or country = 'US'").replace(
        "key: device.type", "key: n"
    )
    platform.declare(STREAM, changed.replace("{kind: device.type}, device, at", "country"))
    verdict = platform.apply("onward.chosen")
    assert verdict.ok, verdict.message
    assert verdict.deployment is not None
    assert (verdict.deployment.cause, verdict.deployment.restore_from is not None) == (Cause.UPGRADE, True)
    start = {STREAM: platform.gateways.kafka.offsets(STREAM).end}
    send(platform, range(EVENTS, EVENTS + 1_000))
    truth = settled(platform, "onward.chosen", start)
    assert truth.is_exact, truth
    assert len(records(platform, "onward.chosen")) == before + truth.landed
    assert b"10999" in {record.key for record in records(platform, "onward.chosen")}
