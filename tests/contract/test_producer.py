"""The producer against a real broker: forks, refused connections, and the audit events that it writes."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from keystone_platform.audit.records import Record, read_records
from keystone_platform.control.prepare import AUDIT_TOPIC_SETTINGS
from keystone_platform.envelope import CE_ID, CE_TYPE, PRODUCER_COUNTS_TYPE
from keystone_platform.gateways.kafka import ConfluentKafka
from keystone_platform.plan.produced import AuditEvent
from keystone_platform.producer import (
    Counts,
    DropReason,
    KeystoneProducer,
    Place,
    Problem,
    ProducerSettings,
    StreamTerms,
    Terms,
)

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
TLS = Path(__file__).parent / "tls"


@pytest.fixture
def topic(kafka_properties: Mapping[str, str]) -> str:
    return new_topic(kafka_properties)


def new_topic(kafka: Mapping[str, str], **settings: str) -> str:
    name = f"t{uuid.uuid4().hex[:12]}"
    ConfluentKafka(kafka).ensure_topic(name, 1, settings)
    return name


def everything(kafka: Mapping[str, str], topic: str) -> list[Record]:
    offsets = ConfluentKafka(kafka).offsets(topic)
    return [record for batch in read_records(kafka, topic, offsets) for record in batch]


def audits(kafka: Mapping[str, str], topic: str) -> list[AuditEvent]:
    records = everything(kafka, topic)
    assert {record.headers[CE_TYPE] for record in records} == {PRODUCER_COUNTS_TYPE.encode()}
    found = [AuditEvent.read(record.value) for record in records]
    assert None not in found
    return [event for event in found if event]


def test_parent_and_child_of_a_fork_send_each_event_once(kafka_properties: Mapping[str, str], topic: str) -> None:
    code = f"""
import os, sys
from keystone_platform.producer import KeystoneProducer
producer = KeystoneProducer({{**{dict(kafka_properties)!r}, "linger.ms": "300"}}, "test", topics={{"s": {topic!r}}})
for number in range(100):
    producer.send("s", b"parent")
child = os.fork()
for number in range(50):
    producer.send("s", b"parent" if child else b"child")
if child:
    assert os.waitpid(child, 0)[1] == 0
counts = producer.close(20)
assert (counts.attempted, counts.acknowledged) == ((150, 150) if child else (50, 50)), counts
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)
    arrived = everything(kafka_properties, topic)
    values = [record.value for record in arrived]
    assert (values.count(b"parent"), values.count(b"child")) == (150, 50)
    assert len({record.headers[CE_ID] for record in arrived}) == 200


def test_a_login_that_is_refused_is_told_as_such_and_without_its_secret(
    kafka_properties: Mapping[str, str], topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    login = {"sasl.mechanism": "PLAIN", "sasl.username": "u", "sasl.password": "canary-of-the-test"}
    problems: list[Problem] = []
    properties = {**kafka_properties, **login, "security.protocol": "SASL_PLAINTEXT"}
    producer = KeystoneProducer(properties, "test", topics={"s": topic}, on_problem=problems.append)
    producer.send("s", b"{}")
    assert "sasl" in kinds_within(problems, 20, "sasl")
    assert producer.close(0) == Counts(1, 0, {DropReason.CLOSED: 1})
    assert "canary-of-the-test" not in caplog.text + str(problems)


def test_a_server_whose_certificate_nobody_vouches_for_is_told_as_such() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    problems: list[Problem] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(ssl.SSLError):
                        context.wrap_socket(connection, server_side=True)

        threading.Thread(target=serve, daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        properties = {"bootstrap.servers": address, "security.protocol": "SSL"}
        producer = KeystoneProducer(properties, "test", on_problem=problems.append)
        producer.send("s", b"{}")
        assert "tls" in kinds_within(problems, 20, "tls")
        assert producer.close(0) == Counts(1, 0, {DropReason.CLOSED: 1})


def kinds_within(problems: list[Problem], seconds: float, wanted: str) -> set[str]:
    end = time.monotonic() + seconds
    while wanted not in (kinds := {problem.kind for problem in problems}) and time.monotonic() < end:
        time.sleep(0.05)
    return kinds


def test_a_topic_that_is_not_there_is_refused_and_told(kafka_properties: Mapping[str, str]) -> None:
    problems: list[Problem] = []
    quick = {**kafka_properties, "topic.metadata.propagation.max.ms": "100"}
    with KeystoneProducer(quick, "test", on_problem=problems.append) as producer:
        producer.send("nobody.made.this", b"{}")
        assert producer.close(20) == Counts(1, 0, {DropReason.REFUSED: 1})
    assert ("refused", "nobody.made.this") in {(problem.kind, problem.stream) for problem in problems}


def test_what_a_topic_does_not_take_is_counted_as_too_large(kafka_properties: Mapping[str, str]) -> None:
    small = new_topic(kafka_properties, **{"max.message.bytes": "2000"})
    with KeystoneProducer(kafka_properties, "test", topics={"s": small}) as producer:
        producer.send("s", os.urandom(5_000))
        assert producer.flush(20) == 0  # Kafka refuses a batch as a whole, so what is sent with it goes too
        producer.send("s", b"{}")
        assert producer.close(20) == Counts(2, 1, {DropReason.TOO_LARGE: 1})


def test_what_was_sent_again_is_counted_and_is_there_once(kafka_properties: Mapping[str, str], topic: str) -> None:
    port = int(kafka_properties["bootstrap.servers"].rpartition(":")[2])
    listening = [each for each in psutil.net_connections("tcp") if each.status == "LISTEN" and each.laddr.port == port]
    broker = psutil.Process(listening[0].pid)
    quick = {"statistics.interval.ms": "100", "request.timeout.ms": "500", "socket.timeout.ms": "800", "linger.ms": "5"}
    producer = KeystoneProducer({**kafka_properties, **quick}, "test", topics={"s": topic})
    for _ in range(1_000):
        producer.send("s", b"{}")
    assert producer.flush(20) == 0
    broker.suspend()
    try:
        for _ in range(100):
            producer.send("s", b"{}")
        time.sleep(1.5)
    finally:
        broker.resume()
    assert producer.flush(30) == 0
    counts = producer.counts_by_place()[Place("s", "primary")]
    end = time.monotonic() + 20
    while counts.retried < 100 and time.monotonic() < end:  # statistics tell it
        time.sleep(0.1)
        counts = producer.counts_by_place()[Place("s", "primary")]
    producer.close(5)
    assert (counts.attempted, counts.acknowledged) == (1_100, 1_100)
    assert counts.retried >= 100
    assert len(everything(kafka_properties, topic)) == 1_100


def test_audit_events_add_up_to_the_counts_whoever_misses_one(kafka_properties: Mapping[str, str], topic: str) -> None:
    audit = new_topic(kafka_properties, **AUDIT_TOPIC_SETTINGS)
    terms = Terms({"s": StreamTerms(topic), "quick": StreamTerms(topic, "1")}, audit)
    settings = ProducerSettings(audit_interval_s=0.5)
    with KeystoneProducer(kafka_properties, "player", host="h1", terms=terms, settings=settings) as producer:
        producer.send("s", b"{}")
        producer.send("nobody", b"{}")
        time.sleep(1.2)
        producer.send("s", 5)  # type: ignore[arg-type]
        producer.send("quick", b"{}")
        counts = producer.close(20)
        by_place = producer.counts_by_place()
    found = audits(kafka_properties, audit)
    assert [event.sequence for event in found] == list(range(len(found)))
    assert len(found) >= 3
    assert [event.final for event in found] == [*[False] * (len(found) - 1), True]
    assert {(event.host, event.app, event.producer) for event in found} == {("h1", "player", found[0].producer)}
    newest = {row[:3]: row[3:] for event in found for row in event.counts}
    assert {(stream, cluster): rest for (stream, cluster, _), rest in newest.items()} == {
        ("s", "primary"): (2, 1, {"not_bytes": 1}),
        ("?", "primary"): (1, 0, {"unknown_stream": 1}),
        ("quick", "primary"): (1, 1, {}),
    }
    assert counts.attempted == 4
    assert by_place[Place("s", "primary")] == Counts(2, 1, {DropReason.NOT_BYTES: 1})
    # what did not change since an acknowledged event is not told again
    assert sum(row[0] == "?" for event in found for row in event.counts) < len(found)


def test_a_clock_that_is_wrong_is_told_by_the_brokers(
    kafka_properties: Mapping[str, str], topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = time.time_ns() - 600 * 10**9
    monkeypatch.setattr("keystone_platform.producer.audit.time_ns", lambda: behind)
    audit = new_topic(kafka_properties, **AUDIT_TOPIC_SETTINGS)
    problems: list[Problem] = []
    terms = Terms({"s": StreamTerms(topic)}, audit)
    KeystoneProducer(kafka_properties, "test", terms=terms, on_problem=problems.append).close(20)
    (problem,) = [problem for problem in problems if problem.kind == "clock_behind"]
    assert re.search(r"60\d s apart", problem.text)


def test_an_audit_topic_that_is_missing_costs_no_event_and_little_time(
    kafka_properties: Mapping[str, str], topic: str
) -> None:
    terms = Terms({"s": StreamTerms(topic)}, "nobody.made.this.either")
    producer = KeystoneProducer(kafka_properties, "test", terms=terms)
    producer.send("s", b"{}")
    began = time.monotonic()
    assert producer.close(20) == Counts(1, 1)
    assert time.monotonic() - began < 6


def test_a_child_of_a_fork_audits_under_an_id_of_its_own(kafka_properties: Mapping[str, str], topic: str) -> None:
    audit = new_topic(kafka_properties, **AUDIT_TOPIC_SETTINGS)
    code = f"""
import os, sys
from keystone_platform.producer import KeystoneProducer, StreamTerms, Terms
terms = Terms({{"s": StreamTerms({topic!r})}}, {audit!r})
producer = KeystoneProducer({dict(kafka_properties)!r}, "test", terms=terms)
producer.send("s", b"parent")
child = os.fork()
if not child:
    producer.send("s", b"child")
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)
    found = audits(kafka_properties, audit)
    assert [event.final for event in found] == [True, True]
    assert len({event.producer for event in found}) == 2
    assert [row[3:] for event in found for row in event.counts] == [(1, 1, {}), (1, 1, {})]
    assert all(json.loads(record.value or b"")["until"] for record in everything(kafka_properties, audit))
