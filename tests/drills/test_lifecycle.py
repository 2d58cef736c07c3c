"""A router is rescaled, suspended, given a plan that fails at run time, while events come: each row lands once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from keystone_platform.control.gate import failed_gates
from keystone_platform.control.goal import Goal, Verdict
from keystone_platform.control.health import assess
from keystone_platform.control.measure import measure
from keystone_platform.control.memory import Memory
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.rollback import roll_back
from keystone_platform.control.sweep import sweep
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.plan.deployment import Cause, Deployment, End
from keystone_platform.plan.router_plan import Filter
from tests.e2e.platform import Counted, Platform, stream_yaml, wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

TICK_S = 10.0
POISON = -1


def running(verdict: Verdict) -> Deployment:
    assert verdict.ok, verdict.message
    assert verdict.deployment is not None
    return verdict.deployment


class Sent:
    """Numbers of the events that are sent, until it is over.

    Attributes:
        count: how many so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self.over = threading.Event()

    def __iter__(self) -> Iterator[int]:
        while not self.over.is_set():
            yield self.count
            self.count += 1


@contextmanager
def producing(platform: Platform, stream: str) -> Iterator[Sent]:
    """Send events while the block goes on, some 1,000 a second; at its end all are acknowledged."""
    sent = Sent()
    options = {"pause_every": 500, "pause_s": 0.5}
    thread = threading.Thread(target=platform.produce, args=(stream, sent), kwargs=options)
    thread.start()
    try:
        yield sent
    finally:
        sent.over.set()
        thread.join(120)


def exactly(rows: int) -> Counted:
    return Counted(rows=rows, distinct=rows, gaps=0)


def test_rescaled_up_and_down_and_suspended(broken_platform: Platform) -> None:
    platform, route = broken_platform, "scaled.warehouse"

    def declare(more: str) -> Deployment:
        platform.declare("scaled", stream_yaml("scaled") + more)
        began = time.monotonic()
        done = running(platform.apply(route))
        print(f"{more.strip() or 'as before'}: {done.cause} epoch {done.epoch}, {time.monotonic() - began:.1f} s")
        return done

    declare("")
    with producing(platform, "scaled") as sent:
        platform.wait_for_rows("scaled", 2_000)
        for parallelism in (2, 1):
            rescaled = declare(f"    parallelism: {parallelism}\n")
            assert (rescaled.cause, rescaled.restore_from is not None) == (Cause.RESCALE, True)
            job = platform.gateways.flink.job(rescaled.job_id)
            assert job is not None
            assert job.is_running
            landed = platform.counted("scaled").rows
            platform.wait_for_rows("scaled", landed + 2_000)
        suspended = declare("    state: suspended\n")
        assert (suspended.end, suspended.savepoint is not None) == (End.STOPPED, True)
        at_rest = platform.counted("scaled")
        behind = sent.count + 2_000
        wait_for("more events come meanwhile", lambda: sent.count > behind, 60)
        assert platform.counted("scaled") == at_rest
    assert declare("").restore_from == suspended.savepoint
    assert platform.wait_for_rows("scaled", sent.count) == exactly(sent.count)


def test_a_plan_that_fails_at_run_time(broken_platform: Platform) -> None:
    platform, route = broken_platform, "turned.warehouse"
    platform.declare("turned", stream_yaml("turned"))
    good = running(platform.apply(route))
    # true of every event but one, which it fails at: no user can declare such a filter
    condition = Filter(text="bad", flink=f"((1 / (`n` - ({POISON}))) < 2)", duckdb="true")
    bad = good.plan.model_copy(update={"filter": condition})
    with producing(platform, "turned") as sent:
        upgraded = running(reconcile(platform.gateways, [Goal(bad, 2)])[0])
        platform.produce("turned", [POISON])
        assert upgraded.cause is Cause.UPGRADE
        why = wait_for_the_gate(platform, route)
        assert upgraded.outcome_at is not None
        noticed = (SystemClock().now() - upgraded.outcome_at).total_seconds()
        began = time.monotonic()
        back = running(roll_back(platform.gateways, route, why=why))
        print(f"{why}; asked for {noticed:.0f} s after the upgrade, back in {time.monotonic() - began:.1f} s")
        assert (back.cause, back.plan) == (Cause.ROLLBACK, good.plan)
        again = reconcile(platform.gateways, [Goal(bad, 2)])[0]
        assert again.held
        assert again.deployment == back
    events = sent.count + 1
    assert platform.wait_for_rows("turned", events) == exactly(events)
    reconcile(platform.gateways, [Goal(good.plan, 2)])


def wait_for_the_gate(platform: Platform, route: str) -> str:
    """Look every ten seconds, as the health sensor does, until it would ask for a rollback."""
    memories: dict[str, Memory] = {}
    ticked = time.monotonic()

    def look() -> str | None:
        nonlocal memories, ticked
        if time.monotonic() - ticked < TICK_S:
            return None
        ticked = time.monotonic()
        gateways, now = platform.gateways, platform.gateways.clock.now()
        statuses = sweep(gateways, [route])
        failures = failed_gates(statuses, memories, measure(gateways, statuses, memories), now)
        (found,) = assess(statuses, memories, frozenset(), now, failures=failures)
        memories = {route: found.memory}
        return found.rollback

    return wait_for("the gate fails", look, 300)
