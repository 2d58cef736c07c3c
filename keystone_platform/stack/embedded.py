"""The embedded stack: real servers on this machine, started, watched and stopped as one."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from keystone_platform.errors import Terminal
from keystone_platform.gateways.clock import Clock, SystemClock
from keystone_platform.gateways.flink_home import jars_folder, wheel_folder, write_private
from keystone_platform.settings import Settings
from keystone_platform.stack.catalog import prepare_catalog
from keystone_platform.stack.dagster import dagster_servers, prepare_dagster
from keystone_platform.stack.flink import flink_servers, prepare_flink
from keystone_platform.stack.home import Home
from keystone_platform.stack.java import Java, find_java
from keystone_platform.stack.kafka import kafka_nodes, kafka_server, prepare_kafka
from keystone_platform.stack.lock import exclusive
from keystone_platform.stack.ports import asked_ports, choose_ports, is_free
from keystone_platform.stack.processes import end_processes, marked_processes
from keystone_platform.stack.s3 import prepare_s3, s3_server
from keystone_platform.stack.search import prepare_search, search_server
from keystone_platform.stack.server import Server
from keystone_platform.stack.starting import Report, Starting, log_tail
from keystone_platform.stack.state import (
    StackState,
    clusters_text,
    load_state,
    refuse_other_wishes,
    save_state,
    settings_of,
    with_wishes,
)
from keystone_platform.stack.status import ServerStatus, read_status
from keystone_platform.stack.supervisor import Supervisor

GROUPS = ("kafka", "s3", "flink", "search", "dagster")
"""What can be left out of an `up`: the first words of the servers' names."""

OPTIONAL = ("search", "standby")
"""What is started only when an `up` asked for it, then or before."""

_ODD = re.compile(r"[^A-Za-z0-9_./+@-]")

_PATIENCE_S = 15.0
"""How long survivors of a crash may take to end by themselves."""


@dataclass(frozen=True)
class Up:
    """What an `up` came to.

    Attributes:
        started: servers that were not running before.
        warnings: what is not as it should be although everything answers.
    """

    settings: Settings
    started: tuple[str, ...]
    warnings: tuple[str, ...]


class EmbeddedStack:
    """The stack of one home folder. Its methods block; two of them at once on one home are refused (Conflict)."""

    def __init__(
        self,
        folder: Path,
        *,
        streams: Path,
        env: Mapping[str, str] | None = None,
        usual_ports: bool = True,
        clock: Clock | None = None,
    ) -> None:
        """Describe a stack; nothing is read, written or started yet.

        Args:
            folder: home of data, logs and configuration; made by `up`.
            streams: folder of the stream YAMLs that Dagster loads.
            env: the process's environment unless given; asks for ports, names Java and jars.
            usual_ports: False takes any free ports, for a stack beside another.
            clock: the machine's unless given.
        """
        self.home = Home(folder.absolute())
        self._streams = streams.absolute()
        self._env = dict(os.environ if env is None else env)
        self._usual_ports = usual_ports
        self._clock = clock or SystemClock()
        self._supervisor = Supervisor(self.home)

    def up(
        self,
        *,
        including: Collection[str] = (),
        without: Collection[str] = (),
        report: Report = lambda _: None,
    ) -> Up:
        """Start what does not run and return when every server answers.

        Args:
            including: what else belongs to this stack from now on (see OPTIONAL).
            without: what is not wanted this time (see GROUPS).
            report: called for each server as soon as it answers.

        Raises:
            Terminal: Java, jars or a port are missing, or a server does not come up; what this call started is
                stopped again, also on Ctrl-C.
        """
        _check_names(without, GROUPS, "leave out")
        _check_names(including, OPTIONAL, "add")
        _check_paths(self.home.folder, wheel_folder())
        java = find_java(self._env)
        _make_folder(self.home)
        with exclusive(self.home):
            if self._supervisor.pid() is None:
                end_processes(self.home.mark, _PATIENCE_S)  # a crashed supervisor's children hold ports and files
                state = self._choose_state(including)
            else:
                state = self._running_state(including)
            servers = self._servers(state, java)
            self._prepare(state, java)
            if self._supervisor.pid() is None:
                self._supervisor.start(servers, self._env)
            else:
                self._supervisor.reconfigure(servers)
            wanted = [server for server in servers if _group(server.name) not in without]
            return self._start(state, wanted, report)

    def down(self, *, purge: bool = False) -> int:
        """Stop everything that `up` of this home started, crash or not, and return how many processes that were.

        Args:
            purge: remove the stack's data, logs and settings too; what others put into the folder stays, and all of
                it where no stack was ever up.
        """
        if not self.home.folder.is_dir():
            return end_processes(self.home.mark, _PATIENCE_S)
        with exclusive(self.home):
            stopped = self._stop_all()
            if purge and self.home.is_stack:
                for path in self.home.made():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        if purge and not any(self.home.folder.iterdir()):
            self.home.folder.rmdir()
        return stopped

    def status(self) -> tuple[ServerStatus, ...]:
        """Return each server's state; asks each running one whether it answers."""
        state = load_state(self.home)
        if state is None:
            return ()
        supervised = self._supervisor.processes() if self._supervisor.pid() is not None else {}
        servers = self._servers(state, Java(Path("java"), 0))
        return read_status(self.home, servers, supervised, marked_processes(self.home.mark))

    def settings(self) -> Settings:
        """Return how a client attaches.

        Raises:
            Terminal: this stack was never up.
        """
        state = load_state(self.home)
        if state is None:
            message = f"the stack of {self.home.folder} was never up"
            raise Terminal(message, mend="Start it: `keystone up`.")
        return settings_of(self.home, state)

    def pid(self, server: str) -> int | None:
        """Return the pid of the server's own process (a JVM's, say), None when it does not run."""
        if self._supervisor.pid() is None:
            return None
        return self._supervisor.processes()[server].pid or None

    def supervisor_pid(self) -> int | None:
        """Return the supervisor's pid, None when it does not run."""
        return self._supervisor.pid()

    def stop(self, server: str) -> None:
        """Stop one server; it stays down until `up`."""
        self._supervisor.stop_server(server)

    def tail(self, server: str, lines: int = 40) -> str:
        """Return the last lines of the server's log."""
        return log_tail(self.home, server, lines)

    def _start(self, state: StackState, wanted: list[Server], report: Report) -> Up:
        ours = not any(process.pid for process in self._supervisor.processes().values())
        starting = Starting(self.home, self._supervisor, self._clock, report)
        try:
            starting.run(wanted)
        except BaseException:  # Ctrl-C too: leave nothing half up
            if ours:
                self._stop_all()
            else:
                for name in reversed(starting.started):
                    self._supervisor.stop_server(name)
            raise
        warnings = tuple(warning for server in wanted for warning in server.warnings())
        return Up(settings_of(self.home, state), tuple(starting.started), warnings)

    def _servers(self, state: StackState, java: Java) -> tuple[Server, ...]:
        jars, settings = jars_folder(self._env), settings_of(self.home, state)
        data = (
            *(kafka_server(self.home, node, java, jars) for node in kafka_nodes(state)),
            s3_server(self.home, state.ports, settings.s3, java, jars),
            *flink_servers(self.home, state, settings, java),
            *([search_server(self.home, state.ports, java, jars)] if state.search else []),
        )
        return (*data, *dagster_servers(self.home, state.ports, self._streams, tuple(server.name for server in data)))

    def _prepare(self, state: StackState, java: Java) -> None:
        jars, settings = jars_folder(self._env), settings_of(self.home, state)
        save_state(self.home, state)
        write_private(self.home.settings, settings.model_dump_json(indent=2) + "\n")
        if state.standby:
            write_private(self.home.clusters, clusters_text(state))
        for node in kafka_nodes(state):
            prepare_kafka(self.home, node, java, jars)
        prepare_s3(self.home, settings.s3, jars)
        prepare_flink(self.home, state, settings, jars)
        if state.search:
            prepare_search(self.home, state.ports, jars)
        prepare_catalog(self.home, settings)
        prepare_dagster(self.home, state.ports)

    def _choose_state(self, including: Collection[str]) -> StackState:
        remembered = load_state(self.home)
        ports = choose_ports(asked_ports(self._env), remembered.ports if remembered else None, usual=self._usual_ports)
        state = remembered.model_copy(update={"ports": ports}) if remembered else StackState(ports=ports)
        return with_wishes(self._env, state).with_servers(including)

    def _running_state(self, including: Collection[str]) -> StackState:
        """Return the state of a stack that runs: its ports are settled, so other wishes are refused."""
        state = load_state(self.home)
        if state is None:
            message = f"a stack runs in {self.home.folder}, but {self.home.state} is gone"
            raise Terminal(message, mend="Stop it with `keystone down`, then `keystone up`.")
        state = state.with_servers(including)
        if state.standby and not state.ports.kafka_standby:
            message = "this stack was started without a port for a standby"
            raise Terminal(message, mend="`keystone down` first.")
        for name, port in asked_ports(self._env).items():
            present = getattr(state.ports, name)
            if port != present:
                message = f"port {port} is asked for {name}, but the stack is up with {present}"
                raise Terminal(message, mend="`keystone down` first.")
        refuse_other_wishes(self._env, state)
        processes = self._supervisor.processes()
        for server in self._servers(state, Java(Path("java"), 0)):
            known = processes.get(server.name)
            if server.port is not None and (known is None or known.pid == 0) and not is_free(server.port):
                message = f"port {server.port} of {server.name}, which does not run, is taken by another process"
                raise Terminal(message, mend="Free it, or `keystone down` and `keystone up`, which takes another.")
        return state

    def _stop_all(self) -> int:
        pid = self._supervisor.pid()
        count = len(marked_processes(self.home.mark))
        if pid is not None:
            patience = sum(server.stop_timeout_s for server in self._known_servers())
            supervisor = psutil.Process(pid)
            self._supervisor.shutdown()
            psutil.wait_procs([supervisor], timeout=patience + _PATIENCE_S)
        end_processes(self.home.mark, _PATIENCE_S)
        self.home.socket.unlink(missing_ok=True)
        (self.home.run / "supervisord.pid").unlink(missing_ok=True)
        return count

    def _known_servers(self) -> tuple[Server, ...]:
        try:
            state = load_state(self.home)
        except Terminal:  # damaged, or of another version: a stack can always be stopped
            return ()
        return self._servers(state, Java(Path("java"), 0)) if state else ()


def _group(server: str) -> str:
    return server.split("-")[0]


def _check_names(named: Collection[str], known: Collection[str], purpose: str) -> None:
    unknown = sorted(set(named) - set(known))
    if unknown:
        message = f"there is no server {', '.join(unknown)} to {purpose}"
        raise Terminal(message, mend=f"Name some of: {', '.join(known)}.")


def _check_paths(*paths: Path) -> None:
    """Refuse what the servers' start scripts and configuration files break on: they do not quote paths."""
    for path in paths:
        odd = _ODD.search(str(path))
        if odd:
            message = f"{path!s} has {odd.group()!r} in it, which the servers' start scripts cannot take"
            mend = "Use a checkout and a KEYSTONE_HOME whose paths are of letters, digits and - _ . + @ only."
            raise Terminal(message, mend=mend)


def _make_folder(home: Home) -> None:
    """Make the home; never move into a folder where somebody else keeps files of the same names."""
    try:
        home.folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # it holds keys and everybody's events
    except OSError as error:
        message = f"{home.folder} cannot be made: {error.strerror}"
        raise Terminal(message, mend="Name another folder in KEYSTONE_HOME.") from error
    if not home.is_stack and home.strangers():
        names = ", ".join(path.name for path in home.strangers())
        message = f"{home.folder} holds {names}, which no stack made"
        raise Terminal(message, mend="Name another folder in KEYSTONE_HOME, or move them away.")
