"""The embedded Dagster: code servers, webserver and daemon on the project's workspace.yaml."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import yaml

from keystone_platform.errors import Terminal
from keystone_platform.gateways.flink_home import PROJECT_ROOT
from keystone_platform.settings import HOME_VARIABLE, SETTINGS_VARIABLE, STREAMS_VARIABLE
from keystone_platform.stack.code_servers import code_locations, code_server, write_workspace
from keystone_platform.stack.home import Home
from keystone_platform.stack.server import DAGSTER_DAEMON, DAGSTER_WEBSERVER, Server
from keystone_platform.stack.state import HOST, Ports

_LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries {
    name loadStatus
    locationOrLoadError { __typename ... on PythonError { message errorChain { error { message } } } } } } } }
"""

_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


def dagster_servers(home: Home, ports: Ports, streams: Path, needs: tuple[str, ...]) -> tuple[Server, ...]:
    """Return code servers, webserver and daemon; none when the project has no workspace. Writes nothing."""
    locations = code_locations(ports)
    if not locations:
        return ()
    environment = {
        "DAGSTER_HOME": str(home.dagster),
        HOME_VARIABLE: str(home.folder),
        SETTINGS_VARIABLE: str(home.settings),
        STREAMS_VARIABLE: str(streams),
        "PYTHONUNBUFFERED": "1",
    }
    url = f"http://{HOST}:{ports.dagster}"
    workspace = str(_workspace(home))
    code = tuple(code_server(location, environment) for location in locations)
    needs = (*needs, *(server.name for server in code))
    webserver = (sys.executable, "-m", "dagster_webserver", "-h", HOST, "-p", str(ports.dagster), "-w", workspace)
    daemon = (sys.executable, "-m", "dagster._daemon", "run", "-w", workspace)
    return (
        *code,
        Server(
            name=DAGSTER_WEBSERVER,
            command=webserver,
            directory=PROJECT_ROOT,
            unready=lambda: _webserver_unready(url),
            warnings=lambda: _load_errors(url),
            environment=environment,
            url=url,
            port=ports.dagster,
            needs=needs,
        ),
        Server(
            name=DAGSTER_DAEMON,
            command=daemon,
            directory=PROJECT_ROOT,
            unready=lambda: _daemon_unready(url),
            environment=environment,
            needs=(*needs, DAGSTER_WEBSERVER),  # which tells its heartbeats
        ),
    )


def prepare_dagster(home: Home, ports: Ports) -> None:
    """Write the instance's configuration and its workspace."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    (home.dagster / "dagster.yaml").write_text(yaml.safe_dump(_instance(home), sort_keys=False))
    write_workspace(_workspace(home), code_locations(ports))
    if not _storage(home).is_dir():
        _make_databases(home)


def _make_databases(home: Home) -> None:
    """Make the instance's databases before any server does: several at once fail on each other's tables."""
    command = (sys.executable, "-m", "dagster", "instance", "migrate")
    environment = {**os.environ, "DAGSTER_HOME": str(home.dagster)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        shutil.rmtree(_storage(home), ignore_errors=True)
        message = f"Dagster's databases below {home.dagster} could not be made: {ended.stderr.strip()[-300:]}"
        raise Terminal(message, mend="Is the disk full or the folder not writable? `keystone doctor` checks.")


def _storage(home: Home) -> Path:
    return home.dagster / "storage"


def _workspace(home: Home) -> Path:
    return home.dagster / "workspace.yaml"


def _instance(home: Home) -> dict[str, object]:
    return {
        "storage": {"sqlite": {"base_dir": str(_storage(home))}},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},  # no sign-up window over the first page
        "concurrency": {"runs": {"max_concurrent_runs": 4}, "pools": {"granularity": "run", "default_limit": 2}},
        "run_queue": {"dequeue_interval_seconds": 2},  # of the 30 s in which a failed router is to run again
        "run_monitoring": {"enabled": True, "start_timeout_seconds": 180, "poll_interval_seconds": 20},
        "sensors": {"use_threads": True, "num_workers": 4},
        "schedules": {"use_threads": True, "num_workers": 2},
        "code_servers": {"local_startup_timeout": 180, "reload_timeout": 180},
    }


def _ask(url: str, query: str) -> dict[str, Any]:
    """Return the answer's `data`; raises httpx.HTTPError when there is none."""
    answer = httpx.post(f"{url}/graphql", json={"query": query}, timeout=5)
    answer.raise_for_status()
    data: dict[str, Any] = answer.json()["data"]
    return data


def _locations(url: str) -> list[dict[str, Any]]:
    locations: list[dict[str, Any]] = _ask(url, _LOCATIONS)["workspaceOrError"].get("locationEntries", [])
    return locations


def _webserver_unready(url: str) -> str | None:
    try:
        loading = [entry["name"] for entry in _locations(url) if entry["loadStatus"] != "LOADED"]
    except httpx.HTTPError as error:
        return f"does not answer GraphQL: {error}"
    return f"still loads {', '.join(loading)}" if loading else None


def _load_errors(url: str) -> tuple[str, ...]:
    """Return a line for each code location that cannot be loaded: Dagster runs without it."""
    try:
        results = [(entry["name"], entry["locationOrLoadError"]) for entry in _locations(url)]
    except httpx.HTTPError as error:
        return (f"Dagster does not tell its code locations: {error}",)
    return tuple(
        f"Dagster cannot load {name}: {_innermost(result)}"
        for name, result in results
        if result is not None and result["__typename"] == "PythonError"
    )


def _innermost(error: dict[str, Any]) -> str:
    chain = [link["error"]["message"] for link in error["errorChain"]]
    return str((chain or [error["message"]])[-1]).strip()


def _daemon_unready(url: str) -> str | None:
    """Ready means heartbeats, which the webserver tells; those of a daemon that died count for some minutes."""
    try:
        statuses = _ask(url, _DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
    except httpx.HTTPError as error:
        return f"webserver, which tells its heartbeats, does not answer: {error}"
    silent = [status["daemonType"] for status in statuses if status["required"] and not status["healthy"]]
    return f"no heartbeat of {', '.join(silent)}" if silent else None
