"""Forty routers on one session cluster of two cores, and what one that crashes in a loop does to the others."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystone_platform.control.fleet import reconcile_fleet
from keystone_platform.control.goal import Goal
from keystone_platform.control.goals import wanted
from keystone_platform.control.reconcile import reconcile
from keystone_platform.gateways.dagster_api import DagsterApi
from keystone_platform.plan.decide import Request
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.router_plan import Filter
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.stack.state import SLOTS_VARIABLE
from keystone_platform.wiring import connect
from tests.drills.test_lifecycle import POISON, Sent, exactly, producing, running
from tests.e2e.platform import Platform, stream_yaml, wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1800)]

ROUTERS = 40
EVENTS = 500
WATCHED_S = 60.0
LOOPS = 2
RESTARTS = 3


@pytest.fixture(scope="module")
def crowded() -> Iterator[Platform]:
    """A stack of its own with slots for all, without Dagster."""
    folder = Path(tempfile.mkdtemp(prefix="keystone-crowd-"))
    streams = folder / "streams"
    streams.mkdir()
    env = {**os.environ, SLOTS_VARIABLE: str(ROUTERS + 8)}
    stack = EmbeddedStack(folder, streams=streams, env=env, usual_ports=False)
    try:
        stack.up(without=["dagster"])
        settings = stack.settings()
        yield Platform(stack, settings, connect(settings), DagsterApi(settings.dagster_url), streams)
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


def test_forty_routers_are_deployed_from_one_jvm_and_land_each_event_once(crowded: Platform) -> None:
    streams = [f"crowd{number:02}" for number in range(ROUTERS)]
    for stream in streams:
        crowded.declare(stream, stream_yaml(stream, interval_s=10))
    goals = wanted(crowded.streams, []).goals
    began = time.monotonic()
    verdicts = reconcile_fleet(crowded.gateways, goals, Request.CONVERGE)
    print(f"\n{len(goals)} routers run {time.monotonic() - began:.1f} s after the one call that deploys them")
    assert [verdict.message for verdict in verdicts if not verdict.ok] == []
    for stream in streams:
        crowded.produce(stream, range(EVENTS))
    began = time.monotonic()
    counted = [crowded.wait_for_rows(stream, EVENTS) for stream in streams]
    print(f"{EVENTS} events of each landed {time.monotonic() - began:.1f} s after the last was sent")
    assert counted == [exactly(EVENTS)] * ROUTERS


def test_a_route_that_crashes_in_a_loop_takes_nothing_from_the_others(crowded: Platform) -> None:
    crowded.declare("victim", stream_yaml("victim", interval_s=2))
    victim = running(crowded.apply("victim.warehouse"))
    with producing(crowded, "victim") as sent:
        before = _deployed(crowded, "calm"), _late(crowded, sent)
        looping = [_looping(crowded, f"looping{number}") for number in range(LOOPS)]
        after = _deployed(crowded, "stormy"), _late(crowded, sent)
        restarts = [crowded.gateways.flink.progress(each.job_id).restarts for each in looping]
    rows = crowded.wait_for_rows("victim", sent.count)
    print(f"\n{LOOPS} routes that crash in a loop, {restarts} restarts, beside {ROUTERS} that run:")
    for what, one, other in zip(
        ("s to deploy another", "s until a sibling has landed what is sent"), before, after, strict=True
    ):
        print(f"{what}: {one:.1f} before, {other:.1f} meanwhile, ratio {other / one:.2f}")
    assert min(restarts) >= RESTARTS
    assert crowded.gateways.flink.progress(victim.job_id).restarts == 0
    assert rows == exactly(sent.count)


def _deployed(platform: Platform, stream: str) -> float:
    """Deploy a router and return how many seconds that took."""
    platform.declare(stream, stream_yaml(stream))
    began = time.monotonic()
    running(platform.apply(f"{stream}.warehouse"))
    return time.monotonic() - began


def _late(platform: Platform, sent: Sent) -> float:
    """Return how many seconds it takes on average until the table of `victim` has what was sent; takes a minute."""
    samples, began = [], time.monotonic()
    while time.monotonic() - began < WATCHED_S:
        at, count = time.monotonic(), sent.count
        platform.wait_for_rows("victim", count)
        samples.append(time.monotonic() - at)
    return statistics.fmean(samples)


def _looping(platform: Platform, stream: str) -> Deployment:
    """Deploy a router that fails at an event, and return it when it has restarted a few times."""
    platform.declare(stream, stream_yaml(stream))
    plan = platform.plan(f"{stream}.warehouse")
    condition = Filter(text="bad", flink=f"((1 / (`n` - ({POISON}))) < 2)", duckdb="true")
    bad = running(reconcile(platform.gateways, [Goal(plan.model_copy(update={"filter": condition}), 2)])[0])
    platform.produce(stream, [POISON])
    wait_for(f"{stream} restarts", lambda: platform.gateways.flink.progress(bad.job_id).restarts >= RESTARTS, 180)
    return bad
