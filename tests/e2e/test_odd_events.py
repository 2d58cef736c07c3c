"""Whatever bytes come: each event is in the table, filtered out, or a dead letter with its bytes and the reason."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer

from keystone_platform import envelope
from keystone_platform.audit.records import Record, read_records
from keystone_platform.audit.truth import audit_route
from keystone_platform.preview.evaluate import preview_route
from keystone_platform.preview.newest import newest_events
from tests.e2e.platform import Platform, stream_yaml, wait_for

pytestmark = pytest.mark.stack

STREAM = "odd"
MEGABYTES_9 = json.dumps({"n": 5_000, "country": "US", "padding": "x" * 9_000_000}).encode()

GOOD: dict[str, bytes] = {
    "nulls and an unknown field": b'{"n": null, "country": "US", "colour": "red"}',
    "missing fields": b'{"country": "US"}',
    "another order, blanks and escapes": b' { "country" : "\\u0055S", "n" : 7 } ',
    "9 MB": MEGABYTES_9,
    "filtered out": b'{"n": 1, "country": "BR"}',
}

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
}


@pytest.fixture(scope="module")
def dead_letters(platform: Platform) -> dict[int, Record]:
    """Send one event of each kind, first without CloudEvents headers, and return the dead letters by source offset."""
    text = stream_yaml(STREAM, where="country = 'US' or country is null").replace("partitions: 2", "partitions: 1")
    platform.declare(STREAM, text)
    verdict = platform.apply(f"{STREAM}.warehouse")
    assert verdict.ok, verdict.message
    properties = {**platform.settings.kafka, "message.max.bytes": 10_500_000, "enable.idempotence": True}
    producer = Producer(properties)
    for value in (*GOOD.values(), *(value for value, _ in DEAD.values())):
        producer.produce(STREAM, value=value, headers=[("mine", b"kept")], key=b"key")
    assert producer.flush(60) == 0

    def all_of_them() -> dict[int, Record] | None:
        span = platform.gateways.kafka.offsets(f"{STREAM}.dlq")
        records = [record for batch in read_records(platform.settings.kafka, f"{STREAM}.dlq", span) for record in batch]
        found = {int((record.headers[envelope.DLQ_OFFSET] or b"").decode()): record for record in records}
        return found if len(found) >= len(DEAD) else None

    return wait_for("every dead letter", all_of_them, 90)


def test_a_dead_letter_has_the_bytes_the_headers_the_place_and_the_reason(dead_letters: dict[int, Record]) -> None:
    for number, (kind, (payload, code)) in enumerate(DEAD.items()):
        letter = dead_letters[len(GOOD) + number]
        assert (letter.value or b"") == (payload or b""), kind
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
    platform.wait_for_rows(STREAM, len(GOOD) - 1)
    truth = audit_route(platform.settings, platform.plan(f"{STREAM}.warehouse"))
    assert truth.is_exact, truth
    assert (truth.produced, truth.landed, truth.filtered, truth.dead) == (
        len(GOOD) + len(DEAD),
        len(GOOD) - 1,
        1,
        len(DEAD),
    )


def test_a_producer_without_cloudevents_headers_lands_with_nulls(
    platform: Platform, dead_letters: dict[int, Record]
) -> None:
    platform.wait_for_rows(STREAM, len(GOOD) - 1)
    rows = platform.rows(STREAM, 'SELECT n, country, _guid, _host, _app, _topic, "_offset" FROM t ORDER BY "_offset"')
    assert rows == [
        (None, "US", None, None, None, STREAM, 0),
        (None, "US", None, None, None, STREAM, 1),
        (7, "US", None, None, None, STREAM, 2),
        (5_000, "US", None, None, None, STREAM, 3),
    ]


def test_a_preview_says_what_the_router_does(platform: Platform, dead_letters: dict[int, Record]) -> None:
    platform.wait_for_rows(STREAM, len(GOOD) - 1)
    plan = platform.plan(f"{STREAM}.warehouse")
    events = newest_events(platform.gateways.kafka, platform.settings.kafka, STREAM, last=1_000)
    found = preview_route(plan, None, events, rows=1_000)
    said: Counter[str] = Counter()
    for dead in found.dead_reasons:
        said[dead.reason.split(":")[0]] += dead.events
    assert said == Counter(code.decode() for _, code in DEAD.values())
    assert found.counts.filtered == 1
    names = ", ".join(f'"{column.name}"' for column in found.columns)
    landed = platform.rows(STREAM, f'SELECT {names} FROM t ORDER BY "_offset" DESC')
    assert [tuple(row.values()) for row in sorted(found.rows, key=lambda row: -row["_offset"])] == landed
