"""Kills a server of a stack as a failing machine would, for drills: it stays dead until the next `up`."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from keystone_platform.errors import Terminal
from keystone_platform.gateways.clock import Clock
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.stack.supervisor import Supervisor

_PATIENCE_S = 20.0
_PAUSE_S = 0.1


def kill_server(stack: EmbeddedStack, server: str, clock: Clock) -> int:
    """Send SIGKILL to the server's own process and keep its supervisor from starting it again; return its pid.

    The process is dead at once. Blocks for a second or two, until what the supervisor starts in its place is dead too.

    Raises:
        Terminal: it does not run, or the supervisor does not answer.
    """
    pid = stack.pid(server)
    if pid is None:
        message = f"{server} does not run"
        raise Terminal(message, mend="See its log.")
    os.kill(pid, signal.SIGKILL)
    _keep_down(Supervisor(stack.home), server, clock)
    while again := stack.pid(server):  # it had been started anew already
        with suppress(ProcessLookupError):
            os.kill(again, signal.SIGKILL)
        clock.sleep(_PAUSE_S)
    return pid


def _keep_down(supervisor: Supervisor, server: str, clock: Clock) -> None:
    """Have the supervisor stop the server; it refuses that for the moment between an end and the next start."""
    deadline = clock.now().timestamp() + _PATIENCE_S
    while True:
        try:
            supervisor.stop_server(server, waits=False)
        except Terminal:
            if clock.now().timestamp() > deadline:
                raise
            clock.sleep(_PAUSE_S)
        else:
            return
