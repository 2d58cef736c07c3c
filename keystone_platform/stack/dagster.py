"""The embedded Dagster: webserver and daemon on the project's workspace.yaml."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
import yaml

from keystone_platform.gateways.flink_home import PROJECT_ROOT
from keystone_platform.settings import HOME_VARIABLE, SETTINGS_VARIABLE, STREAMS_VARIABLE
from keystone_platform.stack.home import Home
from keystone_platform.stack.server import DAGSTER_DAEMON, DAGSTER_WEBSERVER, Server
from keystone_platform.stack.state import HOST, Ports

WORKSPACE = PROJECT_ROOT / "workspace.yaml"

_LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries {
    name loadStatus
    locationOrLoadError { __typename ... on PythonError { message errorChain { error { message } } } } } } } }
"""

_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


def dagster_servers(home: Home, ports: Ports, streams: Path, needs: tuple[str, ...]) -> tuple[Server, ...]:
    """Return webserver and daemon; none when the project has no workspace. Writes nothing."""
    if not WORKSPACE.is_file():
        return ()
    environment = {
        "DAGSTER_HOME": str(home.dagster),
        HOME_VARIABLE: str(home.folder),
        SETTINGS_VARIABLE: str(home.settings),
        STREAMS_VARIABLE: str(streams),
        "PYTHONUNBUFFERED": "1",
    }
    url = f"http://{HOST}:{ports.dagster}"
    webserver = (sys.executable, "-m", "dagster_webserver", "-h", HOST, "-p", str(ports.dagster), "-w", str(WORKSPACE))
    daemon = (sys.executable, "-m", "dagster._daemon", "run", "-w", str(WORKSPACE))
    return (
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
            # the first of the two makes the databases; both at once fail on each other's tables
            needs=(*needs, DAGSTER_WEBSERVER),
        ),
    )


def prepare_dagster(home: Home) -> None:
    """Write the instance's configuration."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    (home.dagster / "dagster.yaml").write_text(yaml.safe_dump(_instance(home), sort_keys=False))


def _instance(home: Home) -> dict[str, object]:
    return {
        "storage": {"sqlite": {"base_dir": str(home.dagster / "storage")}},
        "telemetry": {"enabled": False},
        "concurrency": {"runs": {"max_concurrent_runs": 4}, "pools": {"granularity": "run", "default_limit": 2}},
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
