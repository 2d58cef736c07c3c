"""The embedded Dagster: webserver and daemon on the project's workspace.yaml."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import yaml

from keystone_platform.gateways.flink_home import PROJECT_ROOT
from keystone_platform.settings import HOME_VARIABLE, SETTINGS_VARIABLE, STREAMS_VARIABLE
from keystone_platform.stack.home import Home
from keystone_platform.stack.server import DAGSTER_DAEMON, DAGSTER_WEBSERVER, Server
from keystone_platform.stack.state import HOST, Ports

WORKSPACE = PROJECT_ROOT / "workspace.yaml"


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
            unready=lambda: _unready(url),
            environment=environment,
            url=url,
            port=ports.dagster,
            needs=needs,
            start_timeout_s=180,
        ),
        Server(
            name=DAGSTER_DAEMON,
            command=daemon,
            directory=PROJECT_ROOT,
            unready=lambda: None,
            environment=environment,
            needs=needs,
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
        "concurrency": {"runs": {"max_concurrent_runs": 4}, "pools": {"granularity": "op", "default_limit": 2}},
        "run_monitoring": {"enabled": True, "start_timeout_seconds": 180, "poll_interval_seconds": 20},
        "sensors": {"use_threads": True, "num_workers": 4},
        "schedules": {"use_threads": True, "num_workers": 2},
        "code_servers": {"local_startup_timeout": 180, "reload_timeout": 180},
    }


def _unready(url: str) -> str | None:
    try:
        answer = httpx.get(f"{url}/server_info", timeout=3)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        return f"does not answer: {error}"
    return None
