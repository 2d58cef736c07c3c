"""A producer with two real brokers: one is killed under load and comes back; orders from the topic of orders."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from keystone_platform.audit.records import read_records
from keystone_platform.control.prepare import AUDIT_TOPIC_SETTINGS
from keystone_platform.envelope import AUDIT_TOPIC, CE_ID
from keystone_platform.failover.order_topics import OrderTopics
from keystone_platform.failover.producers import told_lately
from keystone_platform.failover.report import Use, stream_lines
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.gateways.kafka import ConfluentKafka
from keystone_platform.producer import (
    FailoverLimits,
    KeystoneProducer,
    Place,
    ProducerSettings,
    Site,
    StreamTerms,
    Terms,
)
from keystone_platform.producer.orders import Order, Orders
from keystone_platform.spec.clusters import Cluster, Clusters
from keystone_platform.spec.models import StreamSpec
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.stack.killing import kill_server
from tests.e2e.platform import wait_for

pytestmark = pytest.mark.stack

STREAM, TOPIC = "failing", "failing"
LIVES = (Site("main", TOPIC), Site("spare", f"spare.{TOPIC}"))
AUDITED = (Site("main", AUDIT_TOPIC), Site("spare", f"spare.{AUDIT_TOPIC}"))
TERMS = Terms({STREAM: StreamTerms(TOPIC, "all", 0.0, LIVES)}, AUDIT_TOPIC, AUDITED)
SPEC = StreamSpec.model_validate(
    {"stream": STREAM, "owner": "team:tests", "routes": [{"sink": {"warehouse": {"table": "tests.failing"}}}]}
)

SOON = FailoverLimits(hold_s=2.0, jitter_s=1.0)
"""The usual limits, but for how long a cluster that comes back is waited for."""


@pytest.fixture(scope="module")
def doomed() -> Iterator[EmbeddedStack]:
    """A broker of its own, to be killed."""
    folder = Path(tempfile.mkdtemp(prefix="keystone-doomed-"))
    stack = EmbeddedStack(folder, streams=folder / "streams", usual_ports=False)
    try:
        stack.up(without=("s3", "flink", "dagster"))
        yield stack
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def both(doomed: EmbeddedStack, kafka_properties: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
    found = {"main": doomed.settings().kafka, "spare": kafka_properties}
    for stream, audits in zip(LIVES, AUDITED, strict=True):
        kafka = ConfluentKafka(found[stream.cluster])
        kafka.ensure_topic(stream.topic, 3)
        kafka.ensure_topic(audits.topic, 1, AUDIT_TOPIC_SETTINGS)
    return found


@contextmanager
def load(producer: KeystoneProducer) -> Iterator[None]:
    """Send some 2,000 events a second while the block lasts."""
    over = threading.Event()

    def send() -> None:
        while not over.wait(0.01):
            for _ in range(20):
                producer.send(STREAM, b'{"n": 1}')

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def took(what: str, look: Callable[[], bool], most_s: float) -> float:
    began = time.monotonic()
    wait_for(what, look, most_s)
    return time.monotonic() - began


def test_a_broker_that_is_killed_under_load_costs_nothing_but_seconds(
    doomed: EmbeddedStack, both: Mapping[str, Mapping[str, str]]
) -> None:
    producer = KeystoneProducer(both, "test", terms=TERMS, settings=ProducerSettings(failover=SOON))

    def acknowledged(cluster: str) -> int:
        found = producer.counts_by_place().get(Place(STREAM, cluster))
        return found.acknowledged if found else 0

    with load(producer):
        wait_for("events on main", lambda: acknowledged("main") > 1_000, 30)
        began = time.monotonic()
        kill_server(doomed, "kafka", SystemClock())
        wait_for("the switch", lambda: acknowledged("spare") > 0, 20)
        assert time.monotonic() - began < 10
        doomed.up(without=("s3", "flink", "dagster"))
        took("the return", lambda: producer.using() == {STREAM: "main"}, 40)
    counts = producer.close(60)
    assert (counts.pending, counts.dropped, counts.acknowledged) == (0, {}, counts.attempted)
    arrived = {site.cluster: guids(both[site.cluster], site.topic) for site in LIVES}
    assert {cluster: len(found) for cluster, found in arrived.items()} == {
        cluster: acknowledged(cluster) for cluster in arrived
    }
    assert len({guid for found in arrived.values() for guid in found}) == counts.acknowledged


def test_an_order_on_one_cluster_is_followed_told_and_taken_back(both: Mapping[str, Mapping[str, str]]) -> None:
    declared = {name: Cluster(name, properties["bootstrap.servers"]) for name, properties in both.items()}
    clusters = Clusters(declared, "main", "spare", Path("clusters.yaml"))
    topics = OrderTopics(declared)
    producer = KeystoneProducer(both, "test", terms=TERMS)

    def told() -> tuple[Use, ...]:
        events = told_lately(clusters, declared, SystemClock().now())
        (line,) = stream_lines([SPEC], clusters, Orders(), events)
        return line.uses

    with load(producer):
        wait_for("events are acknowledged", lambda: producer.counts().acknowledged > 0, 30)
        now = int(time.time() * 1000)
        written = OrderTopics({"spare": declared["spare"]}).write(Orders({"*": Order("spare", now, "ann", "a drill")}))
        assert written["spare"].error == ""
        assert took("the order is followed", lambda: producer.using() == {STREAM: "spare"}, 20) < 10
        answers = topics.read()
        assert answers["main"].value == Orders(), "an order on one cluster is enough"
        assert answers["spare"].value == Orders({"*": Order("spare", now, "ann", "a drill")})
        wait_for("the audit event of the switch", lambda: told() == (Use("spare", "order", 1),), 20)
        topics.write(Orders({STREAM: Order(None, now + 1)}))
        took("the order is taken back", lambda: producer.using() == {STREAM: "main"}, 20)
    counts = producer.close(30)
    assert counts.acknowledged == counts.attempted
    assert told() == (), "a producer that ended uses nothing"


def guids(kafka: Mapping[str, str], topic: str) -> list[bytes | None]:
    offsets = ConfluentKafka(kafka).offsets(topic)
    return [record.headers[CE_ID] for records in read_records(kafka, topic, offsets) for record in records]
