"""Kills a server of a stack as a failing machine would, for drills: it stays dead until the next `up`."""

from __future__ import annotations

import os
import signal

from keystone_platform.errors import Terminal
from keystone_platform.gateways.clock import Clock
from keystone_platform.stack.embedded import EmbeddedStack

_PATIENCE_S = 20.0
_PAUSE_S = 0.1


def kill_server(stack: EmbeddedStack, server: str, clock: Clock) -> int:
    """Send SIGKILL to the server's own process and keep its supervisor from starting it again; return its pid.

    The process is dead at once. Blocks until the supervisor takes the stop: not between its end and a new start.

    Raises:
        Terminal: it does not run, or the supervisor does not answer.
    """
    pid = stack.pid(server)
    if pid is None:
        message = f"{server} does not run"
        raise Terminal(message, mend="See its log.")
    os.kill(pid, signal.SIGKILL)
    deadline = clock.now().timestamp() + _PATIENCE_S
    while True:
        try:
            stack.stop(server)
        except Terminal:
            if clock.now().timestamp() > deadline:
                raise
            clock.sleep(_PAUSE_S)
        else:
            return pid
