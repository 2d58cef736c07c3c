"""A route that reads two Kafka clusters goes on with the one that is there, whatever is done to the other."""

from __future__ import annotations

import os
import signal
import time

import httpx
import pytest

from keystone_platform.audit.truth import audit_route
from keystone_platform.plan.decide import Act
from tests.drills.two_clusters.twins import ALONE, Twins
from tests.e2e.platform import Platform, stream_yaml, wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

STREAM = "twins"
ROUTE = f"{STREAM}.warehouse"

PATIENCE_S = 110
"""Longer than a look for partitions every 30 s and the minute after which a client of a dead cluster gives up."""


def test_two_clusters_one_away(platform: Platform) -> None:
    twins, stack = Twins(platform, STREAM, ROUTE), platform.stack
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

    twins.start_all()
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
    twins.end()
