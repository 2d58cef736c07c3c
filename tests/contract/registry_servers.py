"""Schema registries that tests start and stop: Apicurio Registry, and a stand-in with the API of Confluent's docs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from keystone_platform.gateways.flink_home import jars_folder
from tests.contract.catalog_servers import free_port

START_TIMEOUT_S = 90.0

Reference = Mapping[str, str | int]


def register(url: str, subject: str, schema: str, kind: str = "AVRO", references: Sequence[Reference] = ()) -> int:
    """Register a schema and return its id."""
    body = {"schema": schema, "schemaType": kind, "references": list(references)}
    answer = httpx.post(f"{url}/subjects/{subject}/versions", json=body, timeout=30).raise_for_status()
    return int(answer.json()["id"])


@contextmanager
def apicurio() -> Iterator[str]:
    """Start one and yield the base URL of its Confluent-compatible API; takes some ten seconds."""
    program = next((jars_folder({}) / "schema-registry").glob("*-runner.jar"), None)
    if program is None:
        message = "no schema registry among the jars: make test-jars"
        raise AssertionError(message)
    folder, port = Path(tempfile.mkdtemp(prefix="keystone-registry-")), free_port()
    quarkus = {"QUARKUS_HTTP_HOST": "127.0.0.1", "QUARKUS_HTTP_PORT": str(port), "QUARKUS_LOG_LEVEL": "WARN"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar", str(program)],
            cwd=program.parent,
            env={**os.environ, **quarkus},
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                message = f"the registry did not start: {(folder / 'log').read_text()[-2000:]}"
                raise AssertionError(message)
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/subjects", timeout=5).is_success
    except httpx.HTTPError:
        return False


class FakeRegistry:
    """Schemas by id and by subject, as Confluent's registry answers for them; `silent` makes it refuse everything.

    https://docs.confluent.io/platform/current/schema-registry/develop/api.html
    """

    def __init__(self) -> None:
        self.silent = 0
        self.asked: list[str] = []
        self._schemas: list[dict[str, Any]] = []
        self._versions: dict[str, list[int]] = {}

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Return status and JSON."""
        self.asked.append(path)
        if self.silent:
            return self.silent, {"error_code": self.silent * 100, "message": "not now"}
        if method == "POST" and (match := re.fullmatch(r"/subjects/([^/]+)/versions", path)):
            self._schemas.append(body)
            self._versions.setdefault(unquote(match[1]), []).append(len(self._schemas))
            return 200, {"id": len(self._schemas)}
        if match := re.fullmatch(r"/schemas/ids/(\d+)", path):
            return self._schema(int(match[1]), 40403)
        if match := re.fullmatch(r"/subjects/([^/]+)/versions/(\d+)", path):
            ids = self._versions.get(unquote(match[1]), [])
            number = int(match[2])
            return self._schema(ids[number - 1] if 0 < number <= len(ids) else 0, 40402 if ids else 40401)
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _schema(self, schema_id: int, code: int) -> tuple[int, Any]:
        if not 0 < schema_id <= len(self._schemas):
            return 404, {"error_code": code, "message": "not found"}
        found = self._schemas[schema_id - 1]
        shown = {"schema": found["schema"]}
        if found["schemaType"] != "AVRO":  # which it leaves out
            shown["schemaType"] = found["schemaType"]
        return 200, {**shown, **({"references": found["references"]} if found["references"] else {})}


@contextmanager
def fake_registry() -> Iterator[tuple[str, FakeRegistry]]:
    """Serve a stand-in and yield its base URL and itself."""
    registry = FakeRegistry()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            given = json.loads(self.rfile.read(length) or b"{}")
            status, found = registry.answer(self.command, urlsplit(self.path).path, given)
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815 - the base class's names

        def log_message(self, *_arguments: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", registry
    finally:
        server.shutdown()
        server.server_close()
