"""Chooses the ports of the embedded stack: asked for, remembered, usual, or the next free one."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator, Mapping

from keystone_platform.errors import Terminal
from keystone_platform.stack.state import HOST, Ports

USUAL_PORTS = {"kafka": 9092, "s3": 9000, "flink": 8081, "search": 9200, "dagster": 3000}
"""The ports that people expect; the others are nobody's business and any free one does."""

_ANY_PORTS = range(20_000, 32_000)
"""Below the range from which Linux takes the source ports of outgoing connections, which could grab one meanwhile."""


def port_variable(name: str) -> str:
    """Return the environment variable that asks for a port, e.g. `KEYSTONE_KAFKA_PORT`."""
    return f"KEYSTONE_{name.upper()}_PORT"


def asked_ports(env: Mapping[str, str]) -> dict[str, int]:
    """Return the ports that the environment asks for.

    Raises:
        Terminal: one is not a port number.
    """
    asked = {}
    for name in USUAL_PORTS:
        text = env.get(port_variable(name))
        if not text:
            continue
        if not text.isdecimal() or not 1 <= int(text) <= 65535:
            message = f"{port_variable(name)}={text} is not a port"
            raise Terminal(message, mend="Give a number from 1 to 65535, or unset it.")
        asked[name] = int(text)
    return asked


def is_free(port: int) -> bool:
    """Return whether a server could listen on that loopback port now."""
    with socket.socket() as probe:
        # as JVMs do: a port in TIME_WAIT is free, one with a listener is not
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose_ports(
    asked: Mapping[str, int],
    remembered: Ports | None,
    *,
    usual: bool = True,
    is_free: Callable[[int], bool] = is_free,
) -> Ports:
    """Return a free port for each listener, no two the same.

    Args:
        asked: ports that must be exactly so.
        remembered: those of the last time, taken again where they are free.
        usual: begin with the usual ports; False takes any, for stacks beside another.
        is_free: tells whether nobody listens on a port.

    Raises:
        Terminal: an asked port is taken or asked for twice, or no port is free.
    """
    chosen: dict[str, int] = {}
    for name, port in asked.items():
        if port in chosen.values() or not is_free(port):
            message = f"port {port}, asked for {name}, is taken"
            mend = f"Stop what listens there (`ss -ltnp 'sport = :{port}'`), or ask for another: {port_variable(name)}."
            raise Terminal(message, mend=mend)
        chosen[name] = port
    for name in Ports.model_fields:
        if name in chosen:
            continue
        candidates = _candidates(name, remembered, usual=usual)
        free = next((port for port in candidates if port not in chosen.values() and is_free(port)), None)
        if free is None:
            message = f"no free port for {name}"
            raise Terminal(message, mend=f"Name one: {port_variable(name)}.")
        chosen[name] = free
    return Ports(**chosen)


def _candidates(name: str, remembered: Ports | None, *, usual: bool) -> Iterator[int]:
    if remembered is not None and getattr(remembered, name):
        yield getattr(remembered, name)
    if usual and name in USUAL_PORTS:
        yield from range(USUAL_PORTS[name], USUAL_PORTS[name] + 100)
    yield from random.sample(_ANY_PORTS, 200)
