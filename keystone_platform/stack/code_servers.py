"""One Dagster code server per location of workspace.yaml, shared by webserver and daemon.

Left to themselves both start servers of their own, and the daemon's are started anew every minute: on two cores that is
a tenth of the machine, and a reload in the UI does not reach the sensors.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from keystone_platform.gateways.flink_home import PROJECT_ROOT
from keystone_platform.stack.server import Server
from keystone_platform.stack.state import HOST, Ports

WORKSPACE = PROJECT_ROOT / "workspace.yaml"


@dataclass(frozen=True)
class CodeLocation:
    """An entry of workspace.yaml, with the port that its server gets here."""

    name: str
    module: str
    attribute: str
    port: int


def code_locations(ports: Ports) -> tuple[CodeLocation, ...]:
    """Return the locations of the project's workspace.yaml; none when there is no such file."""
    if not WORKSPACE.is_file():
        return ()
    entries = [entry["python_module"] for entry in yaml.safe_load(WORKSPACE.read_text())["load_from"]]
    free = (ports.code_platform, ports.code_warehouse)
    return tuple(
        CodeLocation(entry["location_name"], entry["module_name"], entry["attribute"], port)
        for entry, port in zip(entries, free, strict=True)
    )


def code_server(location: CodeLocation, environment: Mapping[str, str]) -> Server:
    """Return the location's server; writes nothing."""
    address = ("-h", HOST, "-p", str(location.port), "--location-name", location.name)
    code = ("-m", location.module, "-a", location.attribute)
    return Server(
        name=f"dagster-code-{location.name.replace('_', '-')}",
        command=(sys.executable, "-m", "dagster", "code-server", "start", *address, *code),
        directory=PROJECT_ROOT,
        unready=lambda: _unready(location.port),
        environment=environment,
        port=location.port,
    )


def write_workspace(path: Path, locations: tuple[CodeLocation, ...]) -> None:
    """Write the workspace that webserver and daemon read: the same locations, at their servers' addresses."""
    servers = [
        {"grpc_server": {"host": HOST, "port": location.port, "location_name": location.name}} for location in locations
    ]
    path.write_text(yaml.safe_dump({"load_from": servers}, sort_keys=False))


def _unready(port: int) -> str | None:
    """Whether it loaded its code is told by the webserver, which waits for it."""
    try:
        with socket.create_connection((HOST, port), timeout=2):
            return None
    except OSError as error:
        return f"does not listen: {error}"
