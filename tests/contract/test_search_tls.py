"""The clients of the search cluster over TLS: they trust the authority that is named, and send nothing to others."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flink_jobs.sinks.bulk import entry
from flink_jobs.sinks.search import BulkWriter, HttpPost, SearchConnection
from keystone_platform.errors import Terminal, Transient
from keystone_platform.gateways.search import OpenSearch
from keystone_platform.settings import SearchSettings

AUTHORITY = Path(__file__).parent / "tls" / "certificate.pem"
"""Of the server, signed by itself, for localhost; valid until 2126. The key beside it guards nothing."""

DOCUMENT = entry("plays", "id-1", '{"n": 1}')


@dataclass
class Server:
    """Answers over TLS as OpenSearch does, and keeps what it was sent."""

    url: str
    received: list[tuple[str, bytes]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            started.received.append((self.headers.get("authorization", ""), body))
            answer = json.dumps({"errors": False, "items": [{"index": {"status": 201}}]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(AUTHORITY, AUTHORITY.with_name("key.pem"))
    http.socket = context.wrap_socket(http.socket, server_side=True)
    started = Server(f"https://localhost:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield started
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SEARCH_PASSWORD", "secret")
    return "env:SEARCH_PASSWORD"


def test_documents_reach_a_server_whose_authority_is_named(server: Server, password: str) -> None:
    connection = SearchConnection(server.url, "keystone", password, str(AUTHORITY))
    assert BulkWriter(HttpPost(connection)).write([DOCUMENT]) == [None]
    assert [body for _, body in server.received] == [DOCUMENT]
    assert server.received[0][0].startswith("Basic ")


def test_neither_documents_nor_password_reach_a_server_that_nobody_vouches_for(server: Server, password: str) -> None:
    answer = HttpPost(SearchConnection(server.url, "keystone", password))(DOCUMENT)
    assert answer.status == 0
    assert b"CERTIFICATE_VERIFY_FAILED" in answer.body
    assert server.received == []


def test_the_control_plane_trusts_the_same_authority_and_no_other(server: Server, password: str) -> None:
    trusted = SearchSettings(url=server.url, username="keystone", password=password, ca_file=str(AUTHORITY))
    assert OpenSearch(trusted).request("POST", "/_bulk", {})["errors"] is False
    with pytest.raises(Transient):
        OpenSearch(trusted.model_copy(update={"ca_file": None})).request("POST", "/_bulk", {})
    assert len(server.received) == 1


def test_a_file_that_holds_no_authority_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name in ("none.pem", "empty.pem"):
        settings = SearchSettings(url="https://localhost:1", ca_file=str(tmp_path / name))
        with pytest.raises(Terminal, match=name):
            OpenSearch(settings).request("GET", "/")
