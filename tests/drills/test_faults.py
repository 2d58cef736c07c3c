"""Servers broken under load: produced = landed + filtered + dead at the end, nothing twice where that is promised.

Each prints its course: what came into the three sinks every few seconds and how far behind each was.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from keystone_platform.gateways.flink_home import (
    flink_home_environment,
    object_store_environment,
    wheel_folder,
)
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.stack.home import STACK_VARIABLE
from keystone_platform.stack.status import ServerState
from tests.drills.fault_proxy import Fault, FaultProxy
from tests.drills.load import Drilled, Load, Watch
from tests.e2e.platform import wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

WAREHOUSE, ONWARD, ONCE = ROUTES = ("drilled.warehouse", "drilled.onward", "drilled.once")
"""Exactly once into a table, at least once into a topic, exactly once into a topic."""

DRILLED = Drilled(
    "drilled",
    """\
stream: drilled
owner: team:tests
partitions: 2
schema: {n: bigint, country: string}
routes:
  - sink: {warehouse: {table: tests.drilled}}
    checkpoint_interval_s: 3
  - name: onward
    sink: {kafka: {topic: drilled.onward}}
    checkpoint_interval_s: 3
  - name: once
    sink: {kafka: {topic: drilled.once, delivery: exactly_once}}
    select: [n, country]
    checkpoint_interval_s: 3
""",
    ROUTES,
)

ASLEEP_S = 120


@pytest.fixture(scope="module")
def load(load_of: Callable[[Drilled], Load]) -> Load:
    """The three routes, running."""
    return load_of(DRILLED)


@contextmanager
def drill(load: Load, title: str) -> Iterator[Watch]:
    """Nothing may be twice where exactly once is promised."""
    with load.drill(title) as watch:
        yield watch
    assert watch.truths[WAREHOUSE].is_exact
    assert watch.truths[ONCE].is_exact


def kill(stack: EmbeddedStack, server: str, sign: signal.Signals = signal.SIGKILL) -> int:
    pid = stack.pid(server)
    assert pid is not None
    os.kill(pid, sign)
    return pid


def back(stack: EmbeddedStack, server: str, killed: int) -> None:
    """Wait until the server was started anew and answers."""

    def answers() -> bool:
        found = next(each for each in stack.status() if each.name == server)
        return found.state is ServerState.RUNNING and found.pid not in (None, killed)

    wait_for(f"{server} answers again", answers, 180)


def test_broker_killed(drilled: tuple[EmbeddedStack, FaultProxy], load: Load) -> None:
    stack, _ = drilled
    with drill(load, "broker killed"):
        back(stack, "kafka", kill(stack, "kafka"))


@pytest.mark.parametrize("fault", [Fault.REFUSES_503, Fault.RESETS, Fault.SLOW, Fault.FULL_507])
def test_object_store_fails_for_a_minute(drilled: tuple[EmbeddedStack, FaultProxy], load: Load, fault: Fault) -> None:
    _, proxy = drilled
    with drill(load, f"object store: {fault.name} for a minute") as watch, proxy.failing(fault):
        time.sleep(60)
    assert proxy.met[fault] > 0
    assert watch.during(ONWARD) > 0, "a route that does not write to the object store goes on"
    assert watch.repeated[ONWARD] == 0, "it was not started anew"


def test_object_store_killed(drilled: tuple[EmbeddedStack, FaultProxy], load: Load) -> None:
    stack, _ = drilled
    with drill(load, "object store killed"):
        back(stack, "s3", kill(stack, "s3"))


def test_task_manager_killed(drilled: tuple[EmbeddedStack, FaultProxy], load: Load) -> None:
    stack, _ = drilled
    with drill(load, "TaskManager killed"):
        back(stack, "flink-taskmanager", kill(stack, "flink-taskmanager"))


def test_job_manager_killed(drilled: tuple[EmbeddedStack, FaultProxy], load: Load) -> None:
    stack, _ = drilled
    with drill(load, "JobManager killed, then `keystone apply`"):
        back(stack, "flink-jobmanager", kill(stack, "flink-jobmanager"))

        def applied() -> bool:
            return all(verdict.ok for verdict in load.apply())

        wait_for("every router runs again", lambda: load.is_reachable() and applied(), 240)


def test_zombie_task_manager(drilled: tuple[EmbeddedStack, FaultProxy], load: Load) -> None:
    """It sleeps for longer than the heartbeat's timeout (15 s), so another takes its jobs; then it wakes up."""
    stack, _ = drilled
    with another_task_manager(stack, load), drill(load, f"TaskManager asleep for {ASLEEP_S} s, another takes over"):
        zombie = kill(stack, "flink-taskmanager", signal.SIGSTOP)
        try:
            time.sleep(ASLEEP_S)
        finally:
            os.kill(zombie, signal.SIGCONT)


@contextmanager
def another_task_manager(stack: EmbeddedStack, load: Load) -> Iterator[None]:
    """Run a second one beside the stack's."""
    slots = load.platform.gateways.flink.cluster().slots_total
    environment = {
        **os.environ,
        **flink_home_environment(stack.home.folder / "flink"),
        **object_store_environment(stack.settings().s3),
        STACK_VARIABLE: stack.home.mark,  # so that it ends with the stack, whatever happens here
    }
    process = subprocess.Popen(
        ["/bin/bash", str(wheel_folder() / "bin" / "taskmanager.sh"), "start-foreground"],
        env=environment,
        cwd=stack.home.folder / "flink" / "tmp",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for("it is registered", lambda: load.platform.gateways.flink.cluster().slots_total > slots, 60)
        yield
    finally:
        process.terminate()
        process.wait(60)
