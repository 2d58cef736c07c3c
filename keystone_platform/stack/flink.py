"""The embedded Flink: a standalone session cluster of one JobManager and one TaskManager, from the wheel's scripts."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx

from keystone_platform.gateways.flink_home import (
    JAVA_OPTIONS,
    assemble_flink_home,
    flink_home_environment,
    object_store_configuration,
    object_store_environment,
    wheel_folder,
)
from keystone_platform.settings import Settings
from keystone_platform.stack.home import Home
from keystone_platform.stack.java import Java
from keystone_platform.stack.server import FLINK_JOBMANAGER, FLINK_TASKMANAGER, Server
from keystone_platform.stack.state import HOST, USUAL_SLOTS, Ports, StackState

MB_OF_A_SLOT = 48
"""What the TaskManager gets for each slot beyond the usual ones."""


def flink_servers(home: Home, state: StackState, settings: Settings, java: Java) -> tuple[Server, Server]:
    """Return JobManager and TaskManager; writes nothing."""
    scripts = wheel_folder() / "bin"
    environment = _environment(home, settings, java)
    # the scripts put an empty entry, so the working directory, on the class path: give them a folder without jars
    directory = home.folder / "flink" / "tmp"
    jobmanager = Server(
        name=FLINK_JOBMANAGER,
        command=("/bin/bash", str(scripts / "jobmanager.sh"), "start-foreground"),
        directory=directory,
        unready=lambda: _jobmanager_unready(settings.flink_rest),
        environment=environment,
        url=settings.flink_rest,
        port=state.ports.flink,
    )
    taskmanager = Server(
        name=FLINK_TASKMANAGER,
        command=("/bin/bash", str(scripts / "taskmanager.sh"), "start-foreground"),
        directory=directory,
        unready=lambda: _taskmanager_unready(settings.flink_rest, state.slots),
        environment=environment,
        url=f"{state.slots} slots",
    )
    return jobmanager, taskmanager


def prepare_flink(home: Home, state: StackState, settings: Settings, jars: Path) -> None:
    """Link class path and plugins and write the configuration.

    Raises:
        Terminal: the wheel or jars are missing.
    """
    assemble_flink_home(home.folder / "flink", jars, _configuration(home, state, settings))


def _environment(home: Home, settings: Settings, java: Java) -> dict[str, str]:
    return {
        **flink_home_environment(home.folder / "flink"),
        "JAVA_HOME": str(java.program.resolve().parent.parent),
        **object_store_environment(settings.s3),
    }


def _configuration(home: Home, state: StackState, settings: Settings) -> dict[str, object]:
    return {
        "env.java.opts.all": JAVA_OPTIONS,
        "env.java.opts.jobmanager": "-XX:+UseSerialGC",
        # +15 % events per CPU second against G1
        "env.java.opts.taskmanager": "-XX:+UseParallelGC",
        **_addresses(home, state.ports),
        **_memory(state.slots),
        **_recovery(settings),
        **object_store_configuration(settings.s3),
        "taskmanager.numberOfTaskSlots": state.slots,
        "parallelism.default": 1,
        # connectors keep threads for a while after their job; that must not fail the next job's class loader
        "classloader.check-leaked-classloader": False,
        # routers are submitted by the control plane; a jar upload from a browser is a way in that nobody needs
        "web.submit.enable": False,
        "web.cancel.enable": True,
        # ended jobs stay visible for a day, but not without bound
        "completed-application-store.expiration-time": 24 * 3600,
        "completed-application-store.max-capacity": 500,
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
    }


def _addresses(home: Home, ports: Ports) -> dict[str, object]:
    return {
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": ports.flink,
        "rest.bind-port": str(ports.flink),
        "jobmanager.rpc.address": HOST,
        "jobmanager.bind-host": HOST,
        # fixed, so the TaskManager finds a JobManager that was started anew
        "jobmanager.rpc.port": ports.flink_rpc,
        "taskmanager.host": HOST,
        "taskmanager.bind-host": HOST,
        "io.tmp.dirs": str(home.folder / "flink" / "tmp"),
        "web.tmpdir": str(home.folder / "flink" / "tmp"),
        # what the web UI shows under "Logs"
        "web.log.path": str(home.log(FLINK_JOBMANAGER)),
        "taskmanager.log.path": str(home.log(FLINK_TASKMANAGER)),
    }


def _memory(slots: int) -> dict[str, object]:
    more = max(0, slots - USUAL_SLOTS)
    return {
        "jobmanager.memory.process.size": "1g",
        "jobmanager.memory.jvm-metaspace.size": "320m",
        "taskmanager.memory.process.size": f"{2304 + MB_OF_A_SLOT * more}m",
        "taskmanager.memory.jvm-metaspace.size": "384m",
        # routers keep no state, so heap is worth more than managed memory; Python functions take theirs from it
        "taskmanager.memory.managed.size": f"{128 + 8 * more}m",
        "taskmanager.memory.network.min": f"{128 + 2 * more}m",
        "taskmanager.memory.network.max": f"{128 + 2 * more}m",
    }


def _recovery(settings: Settings) -> dict[str, object]:
    return {
        "execution.checkpointing.dir": f"{settings.checkpoints}/checkpoints",
        "execution.checkpointing.savepoint-dir": f"{settings.checkpoints}/savepoints",
        "execution.checkpointing.num-retained": 3,
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "30 s",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "2 min",
        # a killed TaskManager is noticed after two refused heartbeats; a busy one has longer
        "heartbeat.interval": 2000,
        "heartbeat.timeout": 15000,
        "heartbeat.rpc-failure-threshold": 2,
        # a TaskManager that is up before its JobManager tries again after 1 s, not 10
        "cluster.registration.error-delay": 1000,
    }


def _overview(rest: str) -> dict[str, int] | str:
    try:
        answer = httpx.get(f"{rest}/overview", timeout=2)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        return f"REST does not answer: {error}"
    overview: dict[str, int] = answer.json()
    return overview


def _jobmanager_unready(rest: str) -> str | None:
    overview = _overview(rest)
    return overview if isinstance(overview, str) else None


def _taskmanager_unready(rest: str, slots: int) -> str | None:
    overview = _overview(rest)
    if isinstance(overview, str):
        return f"JobManager's {overview}"
    if not overview["taskmanagers"] or overview["slots-total"] < slots:
        return f"registered {overview['slots-total']} of {slots} slots"
    return None
