"""Runs the gateway on a port until it is told to stop, and ends it in order."""

from __future__ import annotations

import signal
import socket
import ssl
from dataclasses import dataclass

import uvicorn

from keystone_platform.errors import InvalidSpec, Terminal
from keystone_platform.http_gateway.app import Gateway

BACKLOG = 2048
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Place:
    """Where a gateway listens.

    Attributes:
        port: 0: any free one.
        tls_certificate: PEM file with the certificate's chain; with `tls_key`, HTTPS.
        tls_key: PEM file of its key.
    """

    host: str
    port: int
    tls_certificate: str | None = None
    tls_key: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in _LOOPBACK


def bind(place: Place) -> socket.socket:
    """Return the socket, listening.

    Raises:
        InvalidSpec: certificate and key can't be read, or don't belong together.
        Terminal: the port is taken, the address is none of this machine's, or listening there is not allowed.
    """
    if place.tls_certificate:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(place.tls_certificate, place.tls_key, lambda: "")
        except OSError as error:
            message = f"certificate or key can't be used: {error.strerror or error}"
            raise InvalidSpec(message, file=place.tls_certificate, mend="Both are PEM, the key unencrypted.") from None
    try:
        family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        return socket.create_server((place.host, place.port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        message = f"can't listen on {place.host}:{place.port}: {getattr(error, 'strerror', None) or error}"
        raise Terminal(message, mend="Choose another --port or --host.") from error


def serve(gateway: Gateway, place: Place, listening: socket.socket, grace_s: float) -> None:
    """Serve until SIGTERM or SIGINT; then take no more, and answer what has begun within `grace_s`.

    A second signal ends the waiting. Runs in the main thread; the producer is still open when it returns.
    """
    config = uvicorn.Config(
        gateway.app(),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=max(1, round(grace_s)),
        ssl_certfile=place.tls_certificate,
        ssl_keyfile=place.tls_key,
    )
    # uvicorn raises a signal again when it has ended, for whoever handled it before: here it has done its work
    before = {each: signal.signal(each, lambda *_: None) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
