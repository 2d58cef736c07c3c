"""Gateway, producer and audit against a real broker."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from assets.compaction.rewrite import write_files
from keystone_platform.audit.records import Record, read_records
from keystone_platform.audit.truth import RouteAudit, audit_route
from keystone_platform.envelope import CE_ID, CE_TIME, DLQ_OFFSET, DLQ_PARTITION, DLQ_ROUTE, DLQ_TOPIC, REPLAY_SOURCE
from keystone_platform.errors import InvalidSpec, Terminal, Transient
from keystone_platform.gateways.kafka import MAX_MESSAGE_BYTES, ConfluentKafka, Offsets
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.plan_router import plan_router
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.preview.evaluate import preview_route
from keystone_platform.preview.newest import newest_events
from keystone_platform.producer import Counts, KeystoneProducer
from keystone_platform.settings import Settings
from keystone_platform.spec.models import StreamSpec
from tests.contract.lake_tables import TEN, local_settings, rows

pytestmark = pytest.mark.stack

WHEN = datetime.now(UTC).replace(microsecond=250_000) - timedelta(hours=3)


@pytest.fixture
def kafka(kafka_properties: Mapping[str, str]) -> ConfluentKafka:
    return ConfluentKafka(kafka_properties)


@pytest.fixture
def topic(kafka: ConfluentKafka) -> str:
    name = f"t{uuid.uuid4().hex[:12]}"
    kafka.ensure_topic(name, 2)
    return name


def everything(properties: Mapping[str, str], topic: str) -> list[Record]:
    offsets = ConfluentKafka(properties).offsets(topic)
    return [record for batch in read_records(properties, topic, offsets) for record in batch]


def test_an_existing_topic_is_left_as_it_is(kafka: ConfluentKafka, topic: str) -> None:
    assert kafka.ensure_topic(topic, 5) is False
    assert kafka.offsets(topic) == Offsets(begin={0: 0, 1: 0}, end={0: 0, 1: 0})


def test_asking_for_a_missing_topic_does_not_create_it(kafka: ConfluentKafka) -> None:
    assert kafka.offsets("nobody.made.this") == Offsets(begin={}, end={})
    assert kafka.offsets("nobody.made.this") == Offsets(begin={}, end={})


def test_a_refused_configuration_is_terminal_and_names_it(kafka: ConfluentKafka) -> None:
    with pytest.raises(Terminal, match=r"retention\.ms"):
        kafka.ensure_topic("refused", 1, {"retention.ms": "soon"})


def test_how_far_a_topic_had_come_at_a_time_is_known_as_long_as_all_of_before_is_kept(
    kafka: ConfluentKafka, kafka_properties: Mapping[str, str], topic: str
) -> None:
    producer = Producer(kafka_properties)
    for hours_ago in (3, 2, 2, 1):
        at = WHEN - timedelta(hours=hours_ago)
        producer.produce(topic, b"{}", partition=hours_ago % 2, timestamp=int(at.timestamp() * 1000))
    assert producer.flush(10) == 0
    times = [WHEN - timedelta(hours=hours) for hours in (4, 2.5, 1.5, 0)]
    asked = [(name, time) for name in (topic, "nobody.made.this") for time in times]
    found = kafka.reached(asked)
    assert [found[each] for each in asked] == [0, 1, 3, 4, None, None, None, None]
    admin = AdminClient(dict(kafka_properties))  # a client that nobody holds answers nothing
    (done,) = admin.delete_records([TopicPartition(topic, 0, 1)]).values()
    done.result(30)
    assert [kafka.reached(asked)[topic, time] for time in times] == [None, None, 3, 4]


def test_the_limits_of_topics_and_transactions_are_told(kafka: ConfluentKafka, topic: str) -> None:
    assert kafka.largest_record(topic) == MAX_MESSAGE_BYTES
    assert kafka.largest_record("nobody.made.this") is None
    assert kafka.largest_transaction_timeout_s() == 3600  # the embedded broker's


def test_an_unreachable_broker_is_transient_and_named() -> None:
    nowhere = ConfluentKafka({"bootstrap.servers": "127.0.0.1:1"}, timeout_s=1)
    with pytest.raises(Transient, match=r"127\.0\.0\.1:1.*keystone up"):
        nowhere.offsets("any")


def test_payload_headers_key_and_time_arrive_as_sent(kafka_properties: Mapping[str, str], topic: str) -> None:
    payload = b'\x00\xff{"not": "touched"} '
    with KeystoneProducer(kafka_properties, "player", host="h1", topics={"playback": topic}) as producer:
        guid = producer.send("playback", payload, key=b"k", time=WHEN, traceid="abc")
    consumer = Consumer({**kafka_properties, "group.id": "test"})
    offsets = ConfluentKafka(kafka_properties).offsets(topic)
    (partition,) = (part for part, end in offsets.end.items() if end)
    consumer.assign([TopicPartition(topic, partition, 0)])
    message = consumer.poll(20)
    consumer.close()
    assert message is not None
    assert (message.value(), message.key()) == (payload, b"k")
    assert message.timestamp()[1] == int(WHEN.timestamp() * 1000)
    assert dict(message.headers() or ()) == {
        "ce_specversion": b"1.0",
        "ce_id": guid.encode(),
        "ce_time": WHEN.strftime("%Y-%m-%dT%H:%M:%S.250000Z").encode(),
        "ce_source": b"h1/player",
        "ce_type": b"playback",
        "ce_traceid": b"abc",
    }


@pytest.mark.parametrize("year", [1, 1969, 2020, 9999])
def test_an_event_from_long_ago_or_the_future_is_kept_and_harms_no_other(
    kafka_properties: Mapping[str, str], topic: str, year: int
) -> None:
    begun = datetime.now(UTC)
    with KeystoneProducer(kafka_properties, "test", topics={"s": topic}) as producer:
        producer.send("s", b"before")
        producer.send("s", b"odd", time=datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC))
        producer.send("s", b"after")
        assert producer.close(60) == Counts(attempted=3, acknowledged=3, dropped={})
    arrived = {record.value: record for record in everything(kafka_properties, topic)}
    assert arrived.keys() == {b"before", b"odd", b"after"}
    assert arrived[b"odd"].headers[CE_TIME] == b"%04d-12-31T23:59:59Z" % year
    # by an older timestamp Kafka would delete it at its next look, in minutes; one of the future would stay forever
    assert (arrived[b"odd"].timestamp_ms or 0) >= int(begun.timestamp() * 1000)


def test_every_acknowledged_event_is_in_the_topic_once(kafka_properties: Mapping[str, str], topic: str) -> None:
    with KeystoneProducer(kafka_properties, "test", topics={"s": topic}) as producer:
        guids = [producer.send("s", b"%d" % number) for number in range(20_000)]
        assert producer.flush(60) == 0
        assert producer.counts() == Counts(attempted=20_000, acknowledged=20_000, dropped={})
    arrived = [record.headers[CE_ID] for record in everything(kafka_properties, topic)]
    assert sorted(arrived) == sorted(guid.encode() for guid in guids)


def test_an_event_of_ten_megabytes_passes(kafka_properties: Mapping[str, str], topic: str) -> None:
    with KeystoneProducer(kafka_properties, "test", topics={"s": topic}) as producer:
        producer.send("s", bytes(10 * 1024 * 1024))
        assert producer.close(60) == Counts(attempted=1, acknowledged=1, dropped={})


def test_a_range_is_read_exactly_and_silence_at_its_end_is_no_error(
    kafka_properties: Mapping[str, str], topic: str
) -> None:
    producer = Producer(kafka_properties)
    for number in range(100):
        producer.produce(topic, value=b"%d" % number, partition=number % 2)
    producer.flush(20)
    span = Offsets(begin={0: 10, 1: 50}, end={0: 20, 1: 50})
    found = [record for batch in read_records(kafka_properties, topic, span) for record in batch]
    assert [(record.partition, record.offset) for record in found] == [(0, offset) for offset in range(10, 20)]


def plan_for(topic: str, sink: dict[str, object]) -> RouterPlan:
    stream = StreamSpec.model_validate(
        {
            "stream": "audited",
            "owner": "team:tests",
            "topic": topic,
            "schema": {"user_id": "bigint", "country": "string"},
            "routes": [{"sink": sink, "filter": "country = 'US'", "select": ["user_id"]}],
        }
    )
    return plan_router(stream, stream.routes[0])


def produce_audited(properties: Mapping[str, str], topic: str) -> None:
    """Twelve events in partition 0: offsets 0 to 5 pass the filter, 6 to 8 do not, 9 to 11 are dead."""
    producer = Producer(properties)
    good = [json.dumps({"user_id": n, "country": "US"}) for n in range(6)]
    filtered = ['{"user_id": 6, "country": "BR"}', '{"user_id": 7}', '{"country": null}']
    dead = ['{"user_id": "8", "country": "US"}', "{", "[]"]
    for number, payload in enumerate([*good, *filtered, *dead]):
        producer.produce(topic, value=payload, partition=0, headers={CE_ID: f"guid-{number}"})
    producer.flush(20)


def bury(properties: Mapping[str, str], plan: RouterPlan, *offsets: int, route: str = "audited.warehouse") -> None:
    """Write dead letters as a router does."""
    producer = Producer(properties)
    for offset in offsets:
        origin = {DLQ_ROUTE: route, DLQ_TOPIC: plan.source.topic, DLQ_PARTITION: "0", DLQ_OFFSET: str(offset)}
        producer.produce(plan.dead_letter_topic, value=b"", headers=origin)
    producer.flush(20)


@pytest.fixture
def audited(kafka_properties: Mapping[str, str], topic: str, tmp_path: Path) -> tuple[Settings, RouterPlan]:
    """A topic of twelve events, an empty table, an empty dead-letter topic."""
    settings = local_settings(tmp_path).model_copy(update={"kafka": dict(kafka_properties)})
    plan = plan_for(topic, {"warehouse": {"table": "events.audited"}})
    ConfluentKafka(kafka_properties).ensure_topic(plan.dead_letter_topic, 1)
    IcebergLake(settings).ensure_table(plan)
    produce_audited(kafka_properties, topic)
    return settings, plan


def land_audited(settings: Settings, plan: RouterPlan, *ranges: range, topic: str = "") -> None:
    table = IcebergLake(settings).load("events.audited")
    for offsets in ranges:
        landed = rows(table, offsets)
        at = landed.schema.get_field_index("_topic")
        topics = pa.array([topic or plan.source.topic] * len(offsets), landed.schema.field(at).type)
        written = write_files(table, landed.set_column(at, "_topic", topics).to_batches(), TEN, target_bytes=1 << 30)
        with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
            for file in written:
                append.append_data_file(file)
        table.refresh()


def test_the_audit_finds_nothing_wrong_where_nothing_is(audited: tuple[Settings, RouterPlan]) -> None:
    settings, plan = audited
    land_audited(settings, plan, range(6))
    bury(settings.kafka, plan, 9, 10, 11, 11)
    truth = audit_route(settings, plan)
    assert (truth.produced, truth.landed, truth.filtered, truth.dead) == (12, 6, 3, 3)
    assert truth.is_exact


def test_the_audit_sees_what_was_lost(audited: tuple[Settings, RouterPlan]) -> None:
    settings, plan = audited
    land_audited(settings, plan, range(4))
    bury(settings.kafka, plan, 9, 10)
    bury(settings.kafka, plan, 11, route="audited.other")
    truth = audit_route(settings, plan)
    assert (truth.landed, truth.dead, truth.lost) == (4, 2, 3)


def test_the_audit_sees_duplicates_and_rows_that_should_not_be_there(audited: tuple[Settings, RouterPlan]) -> None:
    settings, plan = audited
    land_audited(settings, plan, range(7), range(2, 4))
    bury(settings.kafka, plan, 0, 9, 10, 11)
    truth = audit_route(settings, plan)
    assert (truth.landed, truth.filtered, truth.lost, truth.duplicated) == (7, 2, 0, 2)
    assert truth.unexpected == 2  # offset 6 landed although filtered, offset 0 is in the dead letters too


def test_the_audit_counts_only_from_the_offsets_on(audited: tuple[Settings, RouterPlan]) -> None:
    settings, plan = audited
    land_audited(settings, plan, range(6))
    bury(settings.kafka, plan, 9, 10, 11)
    truth = audit_route(settings, plan, {plan.source.topic: {0: 5}})
    assert (truth.produced, truth.landed, truth.filtered, truth.dead) == (7, 1, 3, 3)
    assert truth.is_exact


def replay_audited(settings: Settings, plan: RouterPlan) -> str:
    """Replay two letters: the first one is decoded now, the second dies again; return the replay topic."""
    replays = plan.source.topics[-1]
    ConfluentKafka(settings.kafka).ensure_topic(replays, 1)
    producer = Producer(settings.kafka)
    for number, payload in ((9, '{"user_id": 8, "country": "US"}'), (10, "{")):
        origin = f"{plan.source.topic}:0:{number}"
        producer.produce(replays, value=payload, headers={CE_ID: f"guid-{number}", REPLAY_SOURCE: origin})
    producer.flush(20)
    return replays


def test_the_audit_counts_replayed_letters_as_events_of_their_own(audited: tuple[Settings, RouterPlan]) -> None:
    settings, plan = audited
    replays = replay_audited(settings, plan)
    land_audited(settings, plan, range(6))
    bury(settings.kafka, plan, 9, 10, 11)
    assert audit_route(settings, plan).lost == 2
    land_audited(settings, plan, range(1), topic=replays)
    again = plan.model_copy(update={"source": plan.source.model_copy(update={"topic": replays})})
    bury(settings.kafka, again, 1)
    truth = audit_route(settings, plan)
    assert (truth.produced, truth.landed, truth.filtered, truth.dead) == (14, 7, 3, 4)
    assert truth.is_exact
    only = RouteAudit(settings, plan, topics=[replays])
    only.catch_up()
    assert (only.truth().produced, only.truth().landed, only.truth().dead) == (2, 1, 1)


def test_the_audit_compares_what_a_kafka_sink_has_record_by_record(audited: tuple[Settings, RouterPlan]) -> None:
    settings, warehouse = audited
    target = f"{warehouse.source.topic}.out"
    plan = plan_for(warehouse.source.topic, {"kafka": {"topic": target}}).model_copy(update={"columns": ()})
    ConfluentKafka(settings.kafka).ensure_topic(target, 1)
    producer = Producer(settings.kafka)
    source = {record.offset: record for record in everything(settings.kafka, plan.source.topic)}
    for number in (0, 1, 2, 2, 3, 5):
        record = source[number]
        headers = list(record.headers.items())
        producer.produce(target, value=record.value, headers=headers, timestamp=record.timestamp_ms or 0)
    producer.produce(target, value=b"somebody else's")
    producer.flush(20)
    bury(settings.kafka, plan, 9, 10, 11, route=plan.route)
    truth = audit_route(settings, plan)
    assert (truth.landed, truth.lost, truth.duplicated, truth.dead) == (5, 1, 1, 3)


def test_a_preview_reads_the_newest_events_and_leaves_no_trace(
    kafka_properties: Mapping[str, str], kafka: ConfluentKafka, audited: tuple[Settings, RouterPlan]
) -> None:
    settings, plan = audited
    admin = AdminClient(dict(kafka_properties))

    def traces() -> set[str]:
        # any consumer makes the broker create its own topic of positions; nobody's events are in it
        topics = set(admin.list_topics(timeout=10).topics) - {"__consumer_offsets"}
        return topics | {f"group {group.group_id}" for group in admin.list_consumer_groups().result().valid}

    before = traces()
    events = newest_events(kafka, settings.kafka, plan.source.topic, last=8)
    found = preview_route(plan, None, events, rows=10)
    # 12 events in one partition, none in the other: offsets 4 and 5 pass, 6 to 8 do not, 9 to 11 are dead
    assert (found.counts.events, found.counts.kept, found.counts.filtered, found.counts.dead) == (8, 2, 3, 3)
    assert [(row["user_id"], row["_guid"]) for row in found.rows] == [(5, "guid-5"), (4, "guid-4")]
    assert {reason.reason for reason in found.dead_reasons} == {"wrong_type: user_id", "not_json", "not_object"}
    with pytest.raises(InvalidSpec, match="no partition 7"):
        newest_events(kafka, settings.kafka, plan.source.topic, last=8, partition=7)
    missing = newest_events(kafka, settings.kafka, "nobody.made.this", last=8)
    assert missing.missing
    assert preview_route(plan, None, missing, rows=1).counts.events == 0
    assert traces() == before
