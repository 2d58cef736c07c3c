"""Talks to supervisord, which runs the servers: writes its configuration, starts it, and asks it over its socket."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPException
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from keystone_platform.errors import Terminal
from keystone_platform.gateways.flink_home import write_private
from keystone_platform.stack.home import SERVER_VARIABLE, STACK_VARIABLE, Home
from keystone_platform.stack.server import Server

_FILES_WANTED = 65_536
"""Open files: a broker with thousands of partitions needs several per partition."""

_FOREIGN_PREFIXES = ("AWS_", "FLINK_", "KAFKA_", "DAGSTER_", "KEYSTONE_", "HADOOP_", "SUPERVISOR_")
"""Variables of the caller that would point the servers at something else than this stack."""


class ProcessState(StrEnum):
    """A process's state, as supervisord names it."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    BACKOFF = "BACKOFF"
    STOPPING = "STOPPING"
    EXITED = "EXITED"
    FATAL = "FATAL"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Supervised:
    """What the supervisor knows of a server's process.

    Attributes:
        pid: 0 when it does not run.
        uptime_s: since its last start; 0 when it does not run.
        error: why it could not be started or how it ended; empty when nothing is wrong.
    """

    state: ProcessState
    pid: int
    uptime_s: int
    error: str


class Supervisor:
    """The supervisord of one home. Calls block for a moment; they raise Terminal when it does not answer."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def pid(self) -> int | None:
        """Return supervisord's pid, None when it does not answer."""
        try:
            return int(self._call("getPID"))
        except Terminal:
            return None

    def start(self, servers: Iterable[Server], env: Mapping[str, str]) -> None:
        """Start supervisord with all servers stopped; returns when it answers.

        Raises:
            Terminal: it does not start.
        """
        self._home.socket.unlink(missing_ok=True)  # left over from a crash or a reboot: nobody answers there
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.configure(servers))]
        answer = subprocess.run(command, env=_environment(self._home, env), capture_output=True, text=True, check=False)
        if answer.returncode or self.pid() is None:
            message = f"supervisord does not start: {(answer.stderr or answer.stdout).strip()[-800:]}"
            raise Terminal(message, mend=f"Its log: {self._home.log('supervisord')}")

    def configure(self, servers: Iterable[Server]) -> str:
        """Write the configuration and return its path."""
        path = self._home.run / "supervisord.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._home.log("supervisord").parent.mkdir(parents=True, exist_ok=True)
        write_private(path, render_configuration(self._home, servers))
        return str(path)

    def reconfigure(self, servers: Iterable[Server]) -> None:
        """Let a running supervisord know new or changed servers; those that run go on as they are."""
        self.configure(servers)
        ((added, changed, _),) = self._call("reloadConfig")
        processes = self.processes()
        for name in changed:
            if processes[name].pid == 0:
                self._call("removeProcessGroup", name)
                added.append(name)
        for name in added:
            self._call("addProcessGroup", name)

    def processes(self) -> dict[str, Supervised]:
        """Return each server's process by name."""
        return {
            info["name"]: Supervised(
                state=ProcessState(info["statename"]),
                pid=info["pid"],
                uptime_s=max(0, info["now"] - info["start"]) if info["pid"] else 0,
                error=info["spawnerr"],
            )
            for info in self._call("getAllProcessInfo")
        }

    def start_server(self, name: str) -> None:
        """Start a server's process; returns before it answers."""
        self._call("startProcess", name, False)

    def stop_server(self, name: str, *, waits: bool = True) -> None:
        """Stop a server's process; returns when it has ended, or at once if it is not to wait."""
        self._call("stopProcess", name, waits)

    def shutdown(self) -> None:
        """Ask supervisord to stop every server and then itself; returns at once."""
        self._call("shutdown")

    def _call(self, method: str, *arguments: Any) -> Any:  # noqa: ANN401 - XML-RPC answers are what they are
        transport = SupervisorTransport(None, None, f"unix://{self._home.socket}")
        try:
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, HTTPException, xmlrpc.client.Error) as error:
            message = f"supervisord of {self._home.folder} does not take {method}{arguments}: {error}"
            raise Terminal(message, mend="`keystone down` cleans up, also after a crash.") from error


def render_configuration(home: Home, servers: Iterable[Server]) -> str:
    """Return supervisord's configuration. It holds secrets of the servers' environments."""
    files = min(_FILES_WANTED, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    head: dict[str, dict[str, object]] = {
        "unix_http_server": {"file": home.socket, "chmod": "0600"},
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
        "supervisord": {
            "logfile": home.log("supervisord"),
            "logfile_maxbytes": "5MB",
            "logfile_backups": 1,
            "pidfile": home.run / "supervisord.pid",
            "childlogdir": home.log("supervisord").parent,
            "identifier": f"keystone-{home.mark}",
            "minfds": files if files > 0 else _FILES_WANTED,
            **({"user": "root"} if os.geteuid() == 0 else {}),  # else it warns that it runs as root
        },
    }
    programs = {f"program:{server.name}": _program(home, server) for server in servers}
    return "\n".join(
        f"[{section}]\n" + "".join(f"{key}={_escape(str(value))}\n" for key, value in options.items())
        for section, options in {**head, **programs}.items()
    )


def _program(home: Home, server: Server) -> dict[str, object]:
    environment = {**server.environment, SERVER_VARIABLE: server.name}
    return {
        "command": " ".join(_quote(word) for word in server.command),
        "directory": server.directory,
        "environment": ",".join(f"{name}={_quote(value)}" for name, value in environment.items()),
        "autostart": "false",
        # a server that dies comes back; one that dies again within startsecs, three times, is given up as FATAL
        "autorestart": "true",
        "startsecs": 3,
        "startretries": 3,
        "stopsignal": "TERM",
        "stopwaitsecs": server.stop_timeout_s,
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": home.log(server.name),
        "stdout_logfile_maxbytes": "20MB",
        "stdout_logfile_backups": 2,
    }


def _quote(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escape(value: str) -> str:
    return value.replace("%", "%%")


def _environment(home: Home, env: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in env.items() if not name.startswith(_FOREIGN_PREFIXES)}
    return {**kept, STACK_VARIABLE: home.mark}
