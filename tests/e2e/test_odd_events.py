"""Whatever bytes come: each event is in the table, filtered out, or a dead letter with its bytes and the reason."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from assets.compaction.compact import compact_table
from keystone_platform import envelope
from keystone_platform.audit.records import Record, read_records
from keystone_platform.audit.truth import audit_route
from keystone_platform.gateways.kafka import ANY_TIMESTAMP
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.preview.evaluate import preview_route
from keystone_platform.preview.newest import newest_events
from tests.e2e.platform import Platform, stream_yaml, wait_for

pytestmark = pytest.mark.stack

STREAM = "odd"
MEGABYTES_10 = 10 * 1024 * 1024
LARGE = b'{"n": 5000, "country": "US", "padding": "%b"}'

GOOD: dict[str, bytes] = {
    "nulls and an unknown field": b'{"n": null, "country": "US", "colour": "red"}',
    "missing fields": b'{"country": "US"}',
    "another order, blanks and escapes": b' { "country" : "\\u0055S", "n" : 7 } ',
    "10 MB": LARGE % (b"x" * (MEGABYTES_10 - len(LARGE) + 2)),
    "objects and arrays 64 deep": b'{"country": "US", "x": %b%b}' % (b"[" * 63, b"]" * 63),
    "huge numbers where nobody looks": b'{"country": "US", "x": 1e999999999, "y": -%b}' % (b"9" * 10_000),
    "an undeclared field twice": b'{"country": "US", "x": 1, "x": "2"}',
    "filtered out": b'{"n": 1, "country": "BR"}',
}

TIMES_MS = {
    "1970": 1,
    "more years ago than Kafka keeps": 1_000_000_000_000,
    "in two hours": int(time.time() * 1000) + 7_200_000,
    "9999": 253_402_300_799_999,
}
"""Timestamps of events in a partition that is added while the router runs."""

DEAD: dict[str, tuple[bytes | None, bytes]] = {
    "broken JSON": (b'{"n": 1, "country": ', b"not_json"),
    "a string for a bigint": (b'{"n": "1", "country": "US"}', b"wrong_type"),
    "a number beyond bigint": (b'{"n": 9223372036854775808, "country": "US"}', b"out_of_range"),
    "a fraction for a bigint": (b'{"n": 1.5, "country": "US"}', b"wrong_type"),
    "no object": (b"[1, 2]", b"not_object"),
    "trailing bytes": (b'{"n": 1} x', b"not_json"),
    "not UTF-8": (b'{"country": "\xff\xfe"}', b"not_utf8"),
    "empty": (b"", b"empty"),
    "tombstone": (None, b"no_value"),
    "10 MB that is no object": (b"[1" + b",1" * (MEGABYTES_10 // 2 - 2) + b" ]", b"not_object"),
    "40 MB, which the broker sees compressed": (b"{" + b" " * (4 * MEGABYTES_10), b"too_large"),
    "65 deep": (b'{"country": "US", "x": %b%b}' % (b"[" * 64, b"]" * 64), b"too_deep"),
    "a million deep": (b'{"x": ' + b"[" * 1_000_000, b"too_deep"),
    "a number of ten thousand digits": (b'{"n": %b}' % (b"9" * 10_000), b"out_of_range"),
    "a declared field twice": (b'{"n": 1, "n": 1}', b"duplicate_field"),
}


ODD_TIME = b'{"n": 1, "country": "US"}'
LANDED = len(GOOD) - 1 + len(TIMES_MS)


@pytest.fixture(scope="module")
def dead_letters(platform: Platform) -> dict[int, Record]:
    """Send one event of each kind, first without CloudEvents headers, and return the dead letters by source offset.

    The router runs before there is an event; then the topic gets a second partition, with the events of odd times.
    """
    text = stream_yaml(STREAM, where="country = 'US' or country is null").replace("partitions: 2", "partitions: 1")
    platform.declare(STREAM, text)
    # else brokers refuse times to come and delete those long past
    platform.gateways.kafka.ensure_topic(STREAM, 1, {**ANY_TIMESTAMP, "retention.ms": "-1"})
    verdict = platform.apply(f"{STREAM}.warehouse")
    assert verdict.ok, verdict.message
    properties = {**platform.settings.kafka, "message.max.bytes": 100_000_000, "enable.idempotence": True}
    properties |= {"compression.type": "zstd", "batch.num.messages": 1}
    admin = AdminClient(platform.settings.kafka)
    admin.create_partitions([NewPartitions(STREAM, 2)])[STREAM].result()
    producer = Producer(properties)
    errors: list[object] = []

    def delivered(error: object, _message: object) -> None:
        errors.extend([error] if error else [])

    for value in (*GOOD.values(), *(value for value, _ in DEAD.values())):
        headers = [("mine", b"kept")]
        producer.produce(STREAM, partition=0, value=value, headers=headers, key=b"key", on_delivery=delivered)
    for timestamp in TIMES_MS.values():
        producer.produce(STREAM, partition=1, value=ODD_TIME, timestamp=timestamp, on_delivery=delivered)
    assert producer.flush(60) == 0
    assert errors == []

    def all_of_them() -> dict[int, Record] | None:
        span = platform.gateways.kafka.offsets(f"{STREAM}.dlq")
        records = [record for batch in read_records(platform.settings.kafka, f"{STREAM}.dlq", span) for record in batch]
        found = {int((record.headers[envelope.DLQ_OFFSET] or b"").decode()): record for record in records}
        return found if len(found) >= len(DEAD) else None

    return wait_for("every dead letter", all_of_them, 90)


def test_a_dead_letter_has_the_bytes_the_headers_the_place_and_the_reason(dead_letters: dict[int, Record]) -> None:
    for number, (kind, (payload, code)) in enumerate(DEAD.items()):
        letter = dead_letters[len(GOOD) + number]
        whole = payload or b""
        assert (letter.value or b"") == (whole[: 64 * 1024] if code == b"too_large" else whole), kind
        assert letter.headers[envelope.DLQ_CODE] == code, kind
        assert letter.headers[envelope.DLQ_TEXT], kind
        died = datetime.fromisoformat((letter.headers[envelope.DLQ_TIME] or b"").decode())
        assert abs(datetime.now(UTC) - died) < timedelta(hours=1), kind
        assert letter.headers["mine"] == b"kept", kind
        assert letter.headers[envelope.DLQ_ROUTE] == f"{STREAM}.warehouse".encode()
        assert letter.headers[envelope.DLQ_TOPIC] == STREAM.encode()
    assert len(dead_letters) == len(DEAD)


def test_every_event_is_accounted_for_by_an_independent_evaluation(
    platform: Platform, dead_letters: dict[int, Record]
) -> None:
    platform.wait_for_rows(STREAM, LANDED)
    truth = audit_route(platform.settings, platform.plan(f"{STREAM}.warehouse"))
    assert truth.is_exact, truth
    assert (truth.produced, truth.landed, truth.filtered, truth.dead) == (
        LANDED + 1 + len(DEAD),
        LANDED,
        1,
        len(DEAD),
    )


def test_a_producer_without_cloudevents_headers_lands_with_nulls(
    platform: Platform, dead_letters: dict[int, Record]
) -> None:
    platform.wait_for_rows(STREAM, LANDED)
    rows = platform.rows(
        STREAM,
        'SELECT n, country, _guid, _host, _app, _topic, "_offset" FROM t WHERE _partition = 0 ORDER BY "_offset"',
    )
    numbers = [None, None, 7, 5_000, None, None, None]
    assert rows == [(n, "US", None, None, None, STREAM, offset) for offset, n in enumerate(numbers)]


def test_a_partition_that_is_added_while_the_router_runs_is_read_from_its_beginning_whatever_its_times(
    platform: Platform, dead_letters: dict[int, Record]
) -> None:
    platform.wait_for_rows(STREAM, LANDED)
    landed = platform.rows(STREAM, 'SELECT epoch_ms(_time) FROM t WHERE _partition = 1 ORDER BY "_offset"')
    assert [milliseconds for (milliseconds,) in landed] == list(TIMES_MS.values())


def test_hours_of_any_year_are_reported_and_compacted(platform: Platform, dead_letters: dict[int, Record]) -> None:
    platform.wait_for_rows(STREAM, LANDED)
    lake = IcebergLake(platform.settings)
    hours = {total.hour for total in lake.hours(f"tests.{STREAM}")}
    assert {datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)} <= hours
    compact_table(lake, f"tests.{STREAM}")
    assert audit_route(platform.settings, platform.plan(f"{STREAM}.warehouse")).is_exact


def test_a_preview_says_what_the_router_does(platform: Platform, dead_letters: dict[int, Record]) -> None:
    platform.wait_for_rows(STREAM, LANDED)
    plan = platform.plan(f"{STREAM}.warehouse")
    events = newest_events(platform.gateways.kafka, platform.settings.kafka, STREAM, last=1_000)
    found = preview_route(plan, None, events, rows=1_000)
    said: Counter[str] = Counter()
    for dead in found.dead_reasons:
        said[dead.reason.split(":")[0]] += dead.events
    assert said == Counter(code.decode() for _, code in DEAD.values())
    assert found.counts.filtered == 1
    names = ", ".join(f'"{column.name}"' for column in found.columns)
    landed = platform.rows(STREAM, f'SELECT {names} FROM t ORDER BY _partition, "_offset"')
    told = sorted(found.rows, key=lambda row: (row["_partition"], row["_offset"]))
    assert [tuple(row.values()) for row in told] == landed
