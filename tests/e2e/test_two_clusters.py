"""A stream on two real Kafka clusters: each event once, whichever it came by, and whichever is away."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from keystone_platform.audit.truth import audit_route
from keystone_platform.gateways.kafka_clusters import KafkaClusters, connect_kafka
from keystone_platform.producer.producer import KeystoneProducer
from keystone_platform.spec.clusters import CLUSTERS_VARIABLE
from keystone_platform.wiring import connect
from tests.e2e.platform import Platform, event, stream_yaml, wait_for
from tests.e2e.second_broker import SecondBroker

pytestmark = [pytest.mark.stack, pytest.mark.drill, pytest.mark.timeout(400)]

STREAM = "twofold"
ROUTE = f"{STREAM}.warehouse"
OTHER = f"standby.{STREAM}"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="keystone-two-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def standby(folder: Path) -> Iterator[SecondBroker]:
    broker = SecondBroker(folder)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="module")
def twofold(platform: Platform, standby: SecondBroker, folder: Path) -> Iterator[Platform]:
    """The platform as those see it who know of both clusters."""
    with pytest.MonkeyPatch.context() as patch:
        servers = {"primary": platform.settings.bootstrap_servers, "standby": standby.address}
        lines = [f'  {name}: {{bootstrap_servers: "{address}"}}\n' for name, address in servers.items()]
        file = folder / "clusters.yaml"
        file.write_text(f"clusters:\n{''.join(lines)}streams: {{primary: primary}}\n")
        patch.setenv(CLUSTERS_VARIABLE, str(file))
        yield replace(platform, gateways=connect(platform.settings))
        (platform.streams / f"{STREAM}.yaml").unlink()


class Sender:
    def __init__(self, kafka: KafkaClusters) -> None:
        self.kafka = kafka
        self.sent = 0

    def send(self, topic: str, *payloads: bytes, events: int = 50) -> None:
        with KeystoneProducer(self.kafka.properties(topic), "tests", topics={STREAM: topic}) as producer:
            for number in range(self.sent, self.sent + events):
                producer.send(STREAM, event(number))
            for payload in payloads:
                producer.send(STREAM, payload)
            assert producer.flush(60) == 0
            assert producer.counts().dropped_total == 0
        self.sent += events


def test_each_event_of_either_cluster_lands_once_while_one_is_added_killed_and_back(
    twofold: Platform, standby: SecondBroker
) -> None:
    sender = Sender(connect_kafka(twofold.settings))

    def begin(clusters: str) -> str:
        twofold.declare(STREAM, stream_yaml(STREAM) + clusters)
        verdict = twofold.apply(ROUTE)
        assert verdict.ok, verdict.message
        return twofold.latest(ROUTE).job_id

    begin("")
    sender.send(STREAM)
    twofold.wait_for_rows(STREAM, sender.sent)

    job = begin("clusters: {standby: standby}\n")  # while the route runs
    sender.send(STREAM)
    sender.send(OTHER, b"no JSON")
    twofold.wait_for_rows(STREAM, sender.sent)

    standby.kill()
    before = twofold.gateways.flink.checkpoints(job).completed
    sender.send(STREAM)
    twofold.wait_for_rows(STREAM, sender.sent)
    flink = twofold.gateways.flink  # its answer may be some seconds old
    wait_for("checkpoints go on", lambda: flink.checkpoints(job).completed > before, 60)

    standby.start()
    sender.send(OTHER)
    twofold.wait_for_rows(STREAM, sender.sent)

    assert twofold.gateways.flink.progress(job).restarts == 0
    truth = audit_route(twofold.settings, twofold.plan(ROUTE))
    assert truth.is_exact, truth
    assert (truth.produced, truth.landed, truth.dead) == (sender.sent + 1, sender.sent, 1)
    assert sender.kafka.offsets(f"{OTHER}.dlq").span == 1, "a letter stays on the cluster of its event"
    assert sender.kafka.offsets(f"{STREAM}.dlq").span == 0
