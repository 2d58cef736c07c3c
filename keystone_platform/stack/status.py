"""Computes what `keystone status` shows; nothing of it is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from keystone_platform.stack.home import Home
from keystone_platform.stack.processes import MarkedProcess, resident_bytes
from keystone_platform.stack.server import Server
from keystone_platform.stack.supervisor import ProcessState, Supervised


class ServerState(StrEnum):
    """A server's state.

    `silent`: its process runs, but it does not answer. `orphaned`: its processes outlived a killed supervisor, so
    nobody starts it again when it dies. `failed`: it ended and is not started again.
    """

    RUNNING = "running"
    SILENT = "silent"
    STARTING = "starting"
    STOPPED = "stopped"
    FAILED = "failed"
    ORPHANED = "orphaned"


@dataclass(frozen=True)
class ServerStatus:
    """One line of the status.

    Attributes:
        pid: of the server's own process; None when it does not run.
        rss_bytes: resident memory of the server's processes, children included.
        uptime_s: seconds since its last start.
        reason: why it is not running; empty when it is.
    """

    name: str
    state: ServerState
    pid: int | None
    url: str
    rss_bytes: int
    uptime_s: int
    log: Path
    reason: str


def read_status(
    home: Home, servers: Sequence[Server], supervised: Mapping[str, Supervised], marked: Sequence[MarkedProcess]
) -> tuple[ServerStatus, ...]:
    """Return each server's status; asks each running one whether it answers, a few seconds at most each."""
    return tuple(
        _status(home, server, supervised.get(server.name), [m for m in marked if m.server == server.name])
        for server in servers
    )


def _status(home: Home, server: Server, supervised: Supervised | None, marked: Sequence[MarkedProcess]) -> ServerStatus:
    state, reason = _state(server, supervised, alive=bool(marked))
    orphan = min((m.process.pid for m in marked), default=None)
    return ServerStatus(
        name=server.name,
        state=state,
        pid=supervised.pid or None if supervised else orphan,
        url=server.url,
        rss_bytes=resident_bytes([m.process for m in marked]),
        uptime_s=supervised.uptime_s if supervised else 0,
        log=home.log(server.name),
        reason=reason,
    )


def _state(server: Server, supervised: Supervised | None, *, alive: bool) -> tuple[ServerState, str]:
    if supervised is None:
        if alive:
            return ServerState.ORPHANED, "its supervisor is gone; `keystone up` takes it over"
        return ServerState.STOPPED, ""
    match supervised.state:
        case ProcessState.RUNNING:
            reason = server.unready()
            return (ServerState.RUNNING, "") if reason is None else (ServerState.SILENT, reason)
        case ProcessState.STARTING | ProcessState.BACKOFF:
            return ServerState.STARTING, supervised.error
        case ProcessState.STOPPED | ProcessState.STOPPING:
            return ServerState.STOPPED, supervised.error
        case _:
            return ServerState.FAILED, supervised.error or "see its log"
