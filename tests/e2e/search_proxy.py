"""A gate in front of the search server: asks for a password, and can be shut or busy for a while."""

from __future__ import annotations

import base64
import threading
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import httpx


class Gate(Enum):
    """What the gate does with a request."""

    OPEN = "open"
    SHUT = "shut"
    """The connection ends without an answer."""
    BUSY = "busy"
    """429 to the request as a whole."""
    CROWDED = "crowded"
    """Every second document of a request is taken, the others are answered with 429 each."""


class SearchGate:
    """Listens on a free port of this machine and passes requests with the right password on to `target`."""

    def __init__(self, target: str, username: str, password: str) -> None:
        self.state = Gate.OPEN
        self.turned_away = 0
        self.without_password = 0
        self._target = httpx.Client(base_url=target, timeout=60)
        self._expected = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> SearchGate:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._target.close()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response | None:
        """Return the answer, or None to hang up."""
        if headers.get("authorization") != self._expected:
            self.without_password += 1
            return httpx.Response(401)
        if self.state is not Gate.OPEN:
            self.turned_away += 1
        if self.state is Gate.SHUT:
            return None
        if self.state is Gate.BUSY:
            return httpx.Response(429, json={"error": {"type": "busy", "reason": "too many requests"}})
        if self.state is Gate.CROWDED and path.startswith("/_bulk"):
            return self._half(path, body)
        return self._pass_on(method, path, body)

    def _half(self, path: str, body: bytes) -> httpx.Response:
        lines = body.splitlines(keepends=True)
        documents = [b"".join(lines[at : at + 2]) for at in range(0, len(lines), 2)]
        taken = self._pass_on("POST", path, b"".join(documents[::2])).json()
        refused = {"index": {"status": 429, "error": {"type": "busy", "reason": "rejected execution"}}}
        outcomes = taken.get("items") or [{"index": {"status": 201}}] * len(documents[::2])
        items = [outcomes[at // 2] if at % 2 == 0 else refused for at in range(len(documents))]
        return httpx.Response(200, json={"errors": True, "items": items})

    def _pass_on(self, method: str, path: str, body: bytes) -> httpx.Response:
        kind = "application/x-ndjson" if path.startswith("/_bulk") else "application/json"
        return self._target.request(method, path, content=body, headers={"content-type": kind})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = gate.answer(self.command, self.path, headers, body)
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer.status_code)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - names that http.server calls

            def log_message(self, *_: Any) -> None:
                return

        return Handler
