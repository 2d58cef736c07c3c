"""A route that reads two Kafka clusters goes on with the one that is there, whatever is done to the other."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from keystone_platform.audit.truth import audit_route
from keystone_platform.gateways.dagster_api import DagsterApi
from keystone_platform.gateways.kafka_clusters import connect_kafka
from keystone_platform.plan.decide import Act
from keystone_platform.producer.producer import KeystoneProducer
from keystone_platform.wiring import connect
from tests.e2e.platform import Platform, event, started, stream_yaml, wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

STREAM = "twins"
ROUTE = f"{STREAM}.warehouse"
ALONE = "clusters: {standby: none}\n"
WITHOUT = ("dagster",)

PATIENCE_S = 110
"""Longer than a look for partitions every 30 s and the minute after which a client of a dead cluster gives up."""


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    folder = Path(tempfile.mkdtemp(prefix="keystone-twins-"))
    streams = folder / "streams"
    streams.mkdir()
    try:
        with started(folder, streams, without=WITHOUT, including=("standby",)) as stack:
            settings = stack.settings()
            yield Platform(stack, settings, connect(settings), DagsterApi(settings.dagster_url), streams)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Twins:
    """The stream on its clusters, and how many events were sent."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.sent = 0

    def send(self, topic: str, events: int = 300) -> None:
        kafka = connect_kafka(self.platform.settings).properties(topic)
        with KeystoneProducer(kafka, "tests", topics={STREAM: topic}) as producer:
            for number in range(self.sent, self.sent + events):
                producer.send(STREAM, event(number))
            assert producer.flush(60) == 0
        self.sent += events

    def await_all(self, what: str, timeout_s: float = 120) -> None:
        began = time.monotonic()
        found = self.platform.wait_for_rows(STREAM, self.sent, timeout_s)
        print(f"{what}: {found.rows} rows {time.monotonic() - began:.1f} s after the last event")
        assert (found.rows, found.distinct, found.gaps) == (self.sent, self.sent, 0)

    def job(self) -> str:
        return self.platform.latest(ROUTE).job_id

    def restarts(self) -> int:
        return self.platform.gateways.flink.progress(self.job()).restarts

    def checkpoints(self) -> int:
        return self.platform.gateways.flink.checkpoints(self.job()).completed

    def begin(self, text: str) -> float:
        self.platform.declare(STREAM, text)
        began = time.monotonic()
        verdict = self.platform.apply(ROUTE)
        assert verdict.ok, verdict.message
        return time.monotonic() - began


def test_two_clusters_one_away(platform: Platform) -> None:
    twins, stack = Twins(platform), platform.stack
    twins.begin(stream_yaml(STREAM) + ALONE)
    twins.send(STREAM)
    twins.await_all("one cluster")

    print(f"standby added in {twins.begin(stream_yaml(STREAM)):.0f} s")
    twins.send(STREAM)
    twins.send(f"standby.{STREAM}")
    twins.await_all("both clusters")

    stack.stop("kafka")
    done = twins.checkpoints()
    twins.send(f"standby.{STREAM}")
    twins.await_all("primary down")
    time.sleep(PATIENCE_S)
    made = twins.checkpoints() - done
    print(f"without the primary for {PATIENCE_S} s: {twins.restarts()} restarts, {made} checkpoints")
    assert twins.restarts() == 0
    assert twins.checkpoints() > done + 5
    twins.send(f"standby.{STREAM}")
    twins.await_all("primary down for long")

    pid = stack.pid("flink-taskmanager")
    assert pid
    os.kill(pid, signal.SIGKILL)
    twins.send(f"standby.{STREAM}")
    twins.await_all("restarted by Flink without the primary", 240)

    seconds = twins.begin(stream_yaml(STREAM, where="n >= 0"))
    twins.send(f"standby.{STREAM}")
    twins.await_all(f"changed in {seconds:.0f} s without the primary", 240)

    stack.up(without=WITHOUT)
    twins.send(STREAM)
    twins.await_all("primary back")

    truth = audit_route(platform.settings, platform.plan(ROUTE))
    assert truth.is_exact, truth
    assert truth.landed == twins.sent

    platform.declare(STREAM, stream_yaml(STREAM) + ALONE)
    wait_for("the checkpoint holds all", lambda: platform.apply(ROUTE).ok, 60)
    twins.send(STREAM)
    twins.await_all("standby taken away")
    verdict = twins.begin(stream_yaml(STREAM))
    print(f"standby added again in {verdict:.0f} s")
    twins.send(f"standby.{STREAM}")
    twins.await_all("standby there again")
    assert platform.apply(ROUTE).action.act is Act.NOTHING
    names = [vertex for vertex in platform.vertices(twins.job()) if vertex.startswith("Source")]
    assert len(names) == 2, httpx.get(f"{platform.settings.flink_rest}/jobs/{twins.job()}").text
