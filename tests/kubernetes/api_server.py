"""An API server of Kubernetes for FlinkDeployments, as far as clients of them can tell; over HTTP.

Names, labels, versions, generations, the status subresource, merge patches, preconditions, finalizers, pages and the
CRD's schema are as on the real one; tests/contract/test_kubernetes_api.py says what that means and runs on both.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.kubernetes.crd import unknown_fields, violations

Body = dict[str, Any]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_COLLECTION = re.compile(r"/apis/flink\.apache\.org/v1beta1/namespaces/([^/]+)/flinkdeployments")
_PROXY = re.compile(r"/api/v1/namespaces/[^/]+/services/([^/:]+)-rest:rest/proxy(/.*)")


class Refused(Exception):
    """An answer other than 2xx: status code, reason and message."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    def as_status(self) -> Body:
        said = {"message": str(self), "reason": self.reason, "code": self.code}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", **said}


@dataclass
class ApiServer:
    """The server's state, and faults that a test switches on.

    Attributes:
        services: by the FlinkDeployment's name, base URL of what is behind the service that the operator makes for it.
        token: what a client has to present; None lets anybody in.
        fails_at: status codes by method, with which all its requests are answered, nothing being done.
        loses_answers_to: methods that are carried out, but the connection ends before the answer.
    """

    services: Callable[[str], str] | None = None
    token: str | None = None
    fails_at: dict[str, int] = field(default_factory=dict)
    loses_answers_to: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    _stored: dict[tuple[str, str], Body] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _versions: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def answer(self, method: str, path: str, query: dict[str, str], body: Body | None) -> Body:
        """Carry a request out and return the answer's body; raises Refused."""
        with self._lock:
            self.requests.append(f"{method} {path}")
            if method in self.fails_at:
                raise Refused(self.fails_at[method], "InternalError", "etcdserver: request timed out")
            found = _COLLECTION.match(path)
            if not found:
                raise Refused(404, "NotFound", "the server could not find the requested resource")
            namespace, rest = found[1], path[found.end() :].strip("/").split("/")
            match method, rest:
                case "GET", [""]:
                    return self._list(namespace, query)
                case "POST", [""]:
                    return self._create(namespace, query, body or {})
                case "GET", [name]:
                    return self._known(namespace, name)
                case "PATCH", [name]:
                    return self._patch(namespace, name, query, body or {}, "spec")
                case "PATCH", [name, "status"]:
                    return self._patch(namespace, name, query, body or {}, "status")
                case "DELETE", [name]:
                    return self._delete(namespace, name, body or {})
            raise Refused(405, "MethodNotAllowed", f"{method} is not supported")

    def _known(self, namespace: str, name: str) -> Body:
        if (namespace, name) not in self._stored:
            raise Refused(404, "NotFound", f'flinkdeployments.flink.apache.org "{name}" not found')
        return copy.deepcopy(self._stored[namespace, name])

    def _list(self, namespace: str, query: dict[str, str]) -> Body:
        wanted = dict(part.split("=", 1) for part in query.get("labelSelector", "").split(",") if part)
        after = query.get("continue", "")
        names = sorted(name for space, name in self._stored if space == namespace and name > after)
        items = [self._known(namespace, name) for name in names]
        items = [each for each in items if wanted.items() <= each["metadata"].get("labels", {}).items()]
        limit = int(query.get("limit", len(items) or 1))
        token = {"continue": items[limit - 1]["metadata"]["name"]} if len(items) > limit else {}
        metadata = {"resourceVersion": str(next(self._versions)), **token}
        return {"kind": "FlinkDeploymentList", "metadata": metadata, "items": items[:limit]}

    def _create(self, namespace: str, query: dict[str, str], body: Body) -> Body:
        name = body["metadata"]["name"]
        _check(body, query)
        if (namespace, name) in self._stored:
            raise Refused(409, "AlreadyExists", f'flinkdeployments.flink.apache.org "{name}" already exists')
        made = copy.deepcopy(body)
        made.pop("status", None)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        made["metadata"] |= {"uid": str(uuid.uuid4()), "generation": 1, "creationTimestamp": now}
        return self._store(namespace, name, made)

    def _patch(self, namespace: str, name: str, query: dict[str, str], change: Body, part: str) -> Body:
        before = self._known(namespace, name)
        _precondition(before, change.get("metadata", {}), name)
        after = _merged(before, change)
        other = "status" if part == "spec" else "spec"
        after = {**after, other: before[other]} if other in before else {k: v for k, v in after.items() if k != other}
        fixed = ("uid", "name", "generation", "creationTimestamp", "deletionTimestamp", "resourceVersion")
        meta = after["metadata"] if part == "spec" else before["metadata"]
        kept = {key: before["metadata"][key] for key in fixed if key in before["metadata"]}
        after["metadata"] = {key: value for key, value in meta.items() if key not in fixed} | kept
        _check(after, query)
        if after == before:
            return before
        if after.get("spec") != before.get("spec"):
            after["metadata"]["generation"] += 1
        return self._store(namespace, name, after)

    def _delete(self, namespace: str, name: str, options: Body) -> Body:
        before = self._known(namespace, name)
        _precondition(before, options.get("preconditions", {}), name)
        if not before["metadata"].get("finalizers"):
            del self._stored[namespace, name]
            return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        if "deletionTimestamp" not in before["metadata"]:
            before["metadata"]["deletionTimestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            before["metadata"]["generation"] += 1
            return self._store(namespace, name, before)
        return before

    def _store(self, namespace: str, name: str, body: Body) -> Body:
        body["metadata"]["resourceVersion"] = str(next(self._versions))
        if "deletionTimestamp" in body["metadata"] and not body["metadata"].get("finalizers"):
            self._stored.pop((namespace, name), None)
        else:
            self._stored[namespace, name] = body
        return copy.deepcopy(body)


@contextmanager
def serve(api: ApiServer) -> Iterator[str]:
    """Serve it on a free port of loopback, a thread a connection, and yield the base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _check(body: Body, query: dict[str, str]) -> None:
    name = body["metadata"]["name"]
    wrong = [] if _NAME.fullmatch(name) else [f'metadata.name: Invalid value: "{name}"']
    labels = body["metadata"].get("labels", {})
    wrong += [f'metadata.labels: Invalid value: "{each}"' for each in labels.values() if not _LABEL.fullmatch(each)]
    unknown = list(unknown_fields(body))
    if unknown and query.get("fieldValidation") == "Strict":
        raise Refused(400, "BadRequest", f'strict decoding error: unknown field "{unknown[0]}"')
    wrong += violations(body)
    if wrong:
        message = f'FlinkDeployment.flink.apache.org "{name}" is invalid: {", ".join(wrong)}'
        raise Refused(422, "Invalid", message)


def _precondition(before: Body, wanted: Body, name: str) -> None:
    for key in ("resourceVersion", "uid"):
        if key in wanted and wanted[key] != before["metadata"][key]:
            what = f'Operation cannot be fulfilled on flinkdeployments.flink.apache.org "{name}"'
            raise Refused(409, "Conflict", f"{what}: {key} is {before['metadata'][key]}, not {wanted[key]}")


def _merged(before: Any, change: Any) -> Any:
    """Return the merge patch of RFC 7386."""
    if not isinstance(change, dict):
        return change
    merged = dict(before) if isinstance(before, dict) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _passed_on(method: str, url: str, content: bytes) -> tuple[int, Any]:
    """Return what the service behind the proxy says, or what the server says when that does not answer."""
    try:
        answer = httpx.request(method, url, content=content, timeout=20)
    except httpx.HTTPError as error:
        return 503, Refused(503, "ServiceUnavailable", f"error trying to reach service: {error}").as_status()
    return answer.status_code, answer.json()


def _handler(api: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._serve("GET")

        def do_POST(self) -> None:
            self._serve("POST")

        def do_PATCH(self) -> None:
            self._serve("PATCH")

        def do_DELETE(self) -> None:
            self._serve("DELETE")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Say nothing: stderr is the test's."""

        def _serve(self, method: str) -> None:
            split = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if api.token and self.headers.get("Authorization") != f"Bearer {api.token}":
                return self._send(401, Refused(401, "Unauthorized", "Unauthorized").as_status())
            proxied = _PROXY.fullmatch(split.path)
            if proxied and api.services:
                return self._send(*_passed_on(method, f"{api.services(proxied[1])}{proxied[2]}?{split.query}", content))
            query = {key: values[0] for key, values in parse_qs(split.query).items()}
            try:
                told = api.answer(method, split.path, query, json.loads(content) if content else None)
            except Refused as refused:
                return self._send(refused.code, refused.as_status())
            if method in api.loses_answers_to:
                self.close_connection = True
                return None
            return self._send(201 if method == "POST" else 200, told)

        def _send(self, code: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler
