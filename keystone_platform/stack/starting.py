"""Starts servers in the order of their needs and waits until each really answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from keystone_platform.errors import Terminal
from keystone_platform.gateways.clock import Clock
from keystone_platform.stack.home import Home
from keystone_platform.stack.server import Server
from keystone_platform.stack.supervisor import ProcessState, Supervisor

_POLL_S = 0.25
_TAIL_LINES = 15
_SEARCHED_LINES = 200
_TAIL_BYTES = 32_768

_DEAD = (ProcessState.BACKOFF, ProcessState.EXITED, ProcessState.FATAL)


@dataclass(frozen=True)
class Started:
    """A server answers; `seconds` after it was started, 0 when it ran before."""

    server: Server
    seconds: float


Report = Callable[[Started], None]


def log_tail(home: Home, server: str, lines: int) -> str:
    """Return the last lines of a server's log; empty when it wrote none."""
    path = home.log(server)
    if not path.is_file():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])


@dataclass(frozen=True)
class _Start:
    at: datetime
    pid: int


class Starting:
    """One start of several servers; `started` names, at any moment, those whose process this start brought up."""

    def __init__(self, home: Home, supervisor: Supervisor, clock: Clock, report: Report) -> None:
        self._home = home
        self._supervisor = supervisor
        self._clock = clock
        self._report = report
        self.started: list[str] = []

    def run(self, servers: Iterable[Server]) -> None:
        """Block until every server answers.

        Raises:
            Terminal: a server died or did not answer in its time; names it, its last log lines and its log.
        """
        pending = {server.name: server for server in servers}
        starts: dict[str, _Start] = {}
        while pending:
            for server in list(pending.values()):
                if server.name in starts:
                    if self._answers(server, starts[server.name]):
                        del pending[server.name]
                elif not any(name in pending for name in server.needs):
                    starts[server.name] = self._start(server.name)
            self._clock.sleep(_POLL_S)

    def _start(self, name: str) -> _Start:
        if self._supervisor.processes()[name].pid == 0:
            self.started.append(name)
            self._supervisor.start_server(name)
        return _Start(self._clock.now(), self._supervisor.processes()[name].pid)

    def _answers(self, server: Server, start: _Start) -> bool:
        """Return whether the server answers; raise when it never will."""
        process = self._supervisor.processes()[server.name]
        if process.state in _DEAD or process.pid != start.pid:
            raise self._failure(server, "died while starting")
        reason = server.unready()
        seconds = (self._clock.now() - start.at).total_seconds()
        if reason is None:
            self._report(Started(server, seconds if server.name in self.started else 0))
            return True
        if seconds > server.start_timeout_s:
            raise self._failure(server, f"did not answer within {server.start_timeout_s:.0f} s: {reason}")
        return False

    def _failure(self, server: Server, what: str) -> Terminal:
        lines = log_tail(self._home, server.name, _SEARCHED_LINES).splitlines()
        telling = [line for line in lines if not line.startswith("\tat ")]  # frames hide what happened
        tail = "\n".join(telling[-_TAIL_LINES:]) or "(it wrote no log)"
        message = f"{server.name} {what}. The end of its log:\n{tail}\n"
        mend = f"The whole log is {self._home.log(server.name)}; `keystone doctor` checks this machine."
        return Terminal(message, mend=mend)
