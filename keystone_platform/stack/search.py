"""The embedded search server: one OpenSearch node, started only when it is asked for."""

from __future__ import annotations

from pathlib import Path

import httpx
import yaml

from keystone_platform.gateways.flink_home import jars_of, write_private
from keystone_platform.stack.home import Home
from keystone_platform.stack.java import Java
from keystone_platform.stack.server import SEARCH, Server
from keystone_platform.stack.state import HOST, Ports

JARS = "search-server"
"""Folder of the class path below that of all jars."""

_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1.} - %m%n
"""


def search_server(home: Home, ports: Ports, java: Java, jars: Path) -> Server:
    """Return the server; writes nothing."""
    folder = home.folder / "search"
    command = (
        str(java.program),
        "-Xms512m",
        "-Xmx512m",
        "-XX:+ExitOnOutOfMemoryError",
        "-cp",
        str(jars / JARS / "*"),
        "io.keystone.search.SearchServer",
        str(folder),
        str(folder / "opensearch.yml"),
    )
    url = f"http://{HOST}:{ports.search}"
    return Server(
        name=SEARCH, command=command, directory=folder, unready=lambda: _unready(url), url=url, port=ports.search
    )


def prepare_search(home: Home, ports: Ports, jars: Path) -> None:
    """Write the configuration.

    Raises:
        Terminal: the jars are missing.
    """
    folder = home.folder / "search"
    jars_of(jars / JARS)
    # where the server looks for it; its own default writes further log files
    logging = folder / "node_1" / "config"
    logging.mkdir(parents=True, exist_ok=True)
    write_private(logging / "log4j2.properties", _LOG4J)
    settings: dict[str, object] = {
        "cluster.name": "keystone",
        "node.name": "keystone",
        "network.host": HOST,
        "http.port": ports.search,
        "transport.port": ports.search_transport,
        "discovery.type": "single-node",
        # a developer's disk that is 90 % full is no reason to refuse a document
        "cluster.routing.allocation.disk.threshold_enabled": False,
    }
    write_private(folder / "opensearch.yml", yaml.safe_dump(settings))


def _unready(url: str) -> str | None:
    """Ready means: it has elected itself and every index that it knows can be written."""
    try:
        answer = httpx.get(f"{url}/_cluster/health", params={"wait_for_status": "yellow", "timeout": "1s"}, timeout=3)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        return f"its cluster is not healthy: {error}"
    return None
