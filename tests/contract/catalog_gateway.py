"""What stands before a REST catalog in a company: a gateway that asks for a token. This one also fails on demand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import httpx

TOKEN = "canary-of-the-token"
CLIENT = ("keystone", "canary-of-the-client")
"""Id and secret that buy the token; no log, plan, ledger or job may hold either secret."""


class Gateway(ThreadingHTTPServer):
    """Passes on what carries the token.

    Attributes:
        answers: what becomes of the next commits, in order; all others go through. `refuse`: another writer was faster.
            `lose`: the connection breaks before the commit. `commit, then break`: after it. `commit, then 502`: it is
            done and the gateway says that it does not know.
        closed: whether everything is answered with 503.
        delay_s: how long every answer takes.
    """

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passage)
        self.behind = httpx.Client(base_url=behind, timeout=60)
        self.answers: list[str] = []
        self.closed = False
        self.delay_s = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error of ours."""


class _Passage(BaseHTTPRequestHandler):
    server: Gateway
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(self.server.delay_s)
        if self.server.closed:
            self._say(503, "the gateway is closed")
        elif self.path.endswith("/oauth/tokens"):
            self._sell(body)
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._say(401, "who are you?")
        else:
            self._pass_on(body)

    def _sell(self, body: bytes) -> None:
        form = parse_qs(body.decode())
        if (form.get("client_id"), form.get("client_secret")) != tuple([value] for value in CLIENT):
            self._answer(401, json.dumps({"error": "invalid_client"}).encode())
            return
        self._answer(200, json.dumps({"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600}).encode())

    def _pass_on(self, body: bytes) -> None:
        commits = self.command == "POST" and "/tables/" in self.path and not self.path.endswith("/metrics")
        answer = self.server.answers.pop(0) if commits and self.server.answers else ""
        if answer == "refuse":
            self._say(409, "another writer was faster")
            return
        if answer == "lose":
            self._break()
            return
        passed = {name: value for name, value in self.headers.items() if name.lower() in ("content-type", "accept")}
        given = self.server.behind.request(self.command, self.path, content=body, headers=passed)
        if answer == "commit, then break":
            self._break()
        elif answer == "commit, then 502":
            self._say(502, "no answer from the catalog")
        else:
            self._answer(given.status_code, given.content)

    def _say(self, status: int, message: str) -> None:
        self._answer(status, json.dumps({"error": {"message": message, "type": "gateway", "code": status}}).encode())

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _break(self) -> None:
        self.close_connection = True
        self.connection.close()


@contextmanager
def gateway(behind: str) -> Iterator[Gateway]:
    """Stand before the catalog at that base URL until the block ends."""
    server = Gateway(behind)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        server.behind.close()
