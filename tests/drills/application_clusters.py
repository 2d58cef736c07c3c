"""Flink clusters in application mode as processes of this machine: what pods are on Kubernetes, for one router each.

They get what the operator would hand them: the manifest's configuration, its arguments, its savepoint; and the object
store's keys by the environment alone, as from a Secret. High availability is left out: it needs the API server's
config maps, which only a real cluster has.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keystone_platform.errors import KeystoneError
from keystone_platform.gateways.flink_home import (
    assemble_flink_home,
    jars_folder,
    object_store_environment,
    wheel_folder,
)
from keystone_platform.gateways.flink_rest import FlinkRest
from keystone_platform.plan.observation import JobState
from keystone_platform.settings import Settings
from keystone_platform.stack.java import find_java
from keystone_platform.stack.ports import is_free
from tests.kubernetes.operator import job_id_of

HOST = "127.0.0.1"

_MEMORY = {
    "jobmanager.memory.process.size": "1g",
    "jobmanager.memory.jvm-metaspace.size": "320m",
    "taskmanager.memory.process.size": "1536m",
    "taskmanager.memory.jvm-metaspace.size": "320m",
    "taskmanager.memory.network.min": "64m",
    "taskmanager.memory.network.max": "64m",
}


@dataclass(frozen=True)
class ApplicationCluster:
    """A JobManager that runs the job's program, and a TaskManager."""

    rest: str
    processes: tuple[subprocess.Popen[bytes], ...]

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@dataclass
class ApplicationClusters:
    """Runtime of the operator: a folder and two processes for each FlinkDeployment."""

    folder: Path
    settings: Settings
    running: dict[str, ApplicationCluster] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def start(self, body: dict[str, Any]) -> str:
        job_id, name = job_id_of(body), body["metadata"]["name"]
        home = self.folder / job_id[:8]
        rest_port, rpc_port = _free_ports(2)
        rest = f"http://{HOST}:{rest_port}"
        configuration = _configuration(body, home, rest_port, rpc_port)
        environment = {
            **os.environ,
            **assemble_flink_home(home, jars_folder(os.environ), configuration),
            **object_store_environment(self.settings.s3),
            "FLINK_HOME": str(wheel_folder()),
            "JAVA_HOME": str(find_java(os.environ).program.resolve().parent.parent),
        }
        job = body["spec"]["job"]
        scripts = wheel_folder() / "bin"
        main = (str(scripts / "standalone-job.sh"), "start-foreground", "--job-classname", job["entryClass"])
        workers = (str(scripts / "taskmanager.sh"), "start-foreground")
        processes = (
            _spawn((*main, *job["args"]), environment, home, "jobmanager"),
            _spawn(workers, environment, home, "taskmanager"),
        )
        self.running[job_id] = ApplicationCluster(rest, processes)
        self.names[name] = rest
        return ""

    def state(self, job_id: str) -> JobState | None:
        cluster = self.running.get(job_id)
        try:
            job = FlinkRest(cluster.rest, timeout_s=3).job(job_id) if cluster else None
        except KeystoneError:  # its JobManager is starting, or gone
            return None
        if job is None:
            return None
        return JobState.CREATED if job.state is JobState.RUNNING and not job.is_running else job.state

    def stop(self, job_id: str, directory: str) -> str:
        cluster = self.running[job_id]
        savepoint = FlinkRest(cluster.rest).stop_with_savepoint(job_id, directory, 120)
        self._end(job_id)
        return savepoint

    def cancel(self, job_id: str) -> None:
        if job_id in self.running:
            try:
                FlinkRest(self.running[job_id].rest).cancel(job_id, 60)
            finally:
                self._end(job_id)

    def failure(self, job_id: str) -> str | None:
        return FlinkRest(self.running[job_id].rest).failure(job_id)

    def close(self) -> None:
        for job_id in list(self.running):
            self._end(job_id)

    def log_ends(self) -> str:
        """Return the end of each process's log."""
        logs = sorted(self.folder.glob("*/log/*.log"))
        return "\n".join(f"--- {log}\n{log.read_text(errors='replace')[-3000:]}" for log in logs)

    def _end(self, job_id: str) -> None:
        self.running.pop(job_id).end()


def _configuration(body: Mapping[str, Any], home: Path, rest_port: int, rpc_port: int) -> dict[str, object]:
    spec = body["spec"]
    told = {
        key: value
        for key, value in spec["flinkConfiguration"].items()
        if not key.startswith(("kubernetes.", "high-availability.", "job.autoscaler."))
    }
    savepoint = spec["job"].get("initialSavepointPath")
    return {
        **told,
        **_MEMORY,
        **({"execution.state-recovery.path": savepoint} if savepoint else {}),
        # as the operator sets them
        "execution.shutdown-on-application-finish": False,
        "execution.submit-failed-job-on-application-error": True,
        "parallelism.default": spec["job"]["parallelism"],
        "taskmanager.numberOfTaskSlots": spec["job"]["parallelism"],
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": rest_port,
        "rest.bind-port": str(rest_port),
        "jobmanager.rpc.address": HOST,
        "jobmanager.bind-host": HOST,
        "jobmanager.rpc.port": rpc_port,
        "taskmanager.host": HOST,
        "taskmanager.bind-host": HOST,
        "io.tmp.dirs": str(home / "tmp"),
        "web.tmpdir": str(home / "tmp"),
        "cluster.registration.error-delay": 1000,
    }


def _spawn(command: tuple[str, ...], environment: Mapping[str, str], home: Path, name: str) -> subprocess.Popen[bytes]:
    with (home / "log" / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            ("/bin/bash", *command),
            env=environment,
            cwd=home / "tmp",  # the scripts put the working directory on the class path
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _free_ports(count: int) -> list[int]:
    candidates = random.sample(range(20_000, 32_000), 200)
    return [port for port in candidates if is_free(port)][:count]
