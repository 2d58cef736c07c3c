"""A Flink gateway behind HTTP, in the words of Flink's REST API: what the client of the real cluster is tried on.

tests/contract/test_flink_contract.py holds FlinkRest over this to the real cluster, as it holds FakeFlink.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from keystone_platform.errors import Terminal, Transient
from keystone_platform.gateways.flink import FlinkGateway
from keystone_platform.plan.observation import CheckpointAttempt, Job
from keystone_platform.plan.progress import JobProgress

STOP_TIMEOUT_S = 60.0

_TASK_STATES = ("created", "scheduled", "deploying", "running", "finished", "canceling", "canceled", "failed")
_ROUTER, _COMMITTER = "cbc357ccb763df2852fee8c4fc7d55f2", "7675c1856f71fd7373015215b2251025"
_SOURCE = "Source__events_of_playback__playback_replay_warehouse"
_VERTICES = {
    _ROUTER: "Source: events of playback, playback.replay.warehouse -> (Calc[2] -> playback.warehouse: Writer, "
    "Calc[4] -> _dead_letters[5]: Writer -> _dead_letters[5]: Committer)",
    "d5e3c229f79bd8c71b1ae078dad376d0": "playback.warehouse: Sink pre-commit aggregator: playback.warehouse",
    _COMMITTER: "playback.warehouse: Committer",
}


@contextmanager
def serve(flink: FlinkGateway) -> Iterator[str]:
    """Serve the gateway on a free port of loopback, a thread a connection, and yield the API's base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(_Api(flink)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Unknown(Exception):
    """No such job, or no such path."""


class _Api:
    """The API's answers as JSON values."""

    def __init__(self, flink: FlinkGateway) -> None:
        self._flink = flink
        self._stops: dict[str, dict[str, Any]] = {}

    def get(self, path: str, query: dict[str, list[str]]) -> Any:
        match path.strip("/").split("/"):
            case ["overview"]:
                cluster = self._flink.cluster()
                slots = {"slots-total": cluster.slots_total, "slots-available": cluster.slots_free}
                return {"taskmanagers": cluster.task_managers, **slots}
            case ["jobs", "overview"]:
                return {"jobs": [_overview(job) for job in self._flink.jobs()]}
            case ["jobs", job_id]:
                return {"jid": self._known(job_id).job_id, "vertices": self._vertices(job_id)}
            case ["jobs", job_id, "checkpoints"]:
                return self._checkpoints(job_id)
            case ["jobs", job_id, "metrics"]:
                return [{"id": "numRestarts", "value": str(self._progress(job_id).restarts)}]
            case ["jobs", job_id, "exceptions"]:
                reason = self._flink.failure(self._known(job_id).job_id)
                return {"exceptionHistory": {"entries": [{"stacktrace": reason}] if reason else []}}
            case ["jobs", job_id, "vertices", vertex, "subtasks", "metrics"]:
                return self._metrics(job_id, vertex, query)
            case ["jobs", _, "savepoints", trigger]:
                return {"status": {"id": "COMPLETED"}, "operation": self._stops[trigger]}
        raise _Unknown(path)

    def stop(self, job_id: str, body: dict[str, Any]) -> dict[str, str]:
        trigger = uuid.uuid4().hex
        try:
            uri = self._flink.stop_with_savepoint(self._known(job_id).job_id, body["targetDirectory"], STOP_TIMEOUT_S)
            self._stops[trigger] = {"location": uri}
        except Terminal as error:
            self._stops[trigger] = {"failure-cause": {"stack-trace": str(error)}}
        return {"request-id": trigger}

    def cancel(self, job_id: str) -> dict[str, str]:
        self._flink.cancel(self._known(job_id).job_id, STOP_TIMEOUT_S)
        return {}

    def _known(self, job_id: str) -> Job:
        job = self._flink.job(job_id)
        if job is None:
            raise _Unknown(job_id)
        return job

    def _progress(self, job_id: str) -> JobProgress:
        return self._flink.progress(self._known(job_id).job_id)

    def _vertices(self, job_id: str) -> list[dict[str, Any]]:
        reading = self._progress(job_id).reading
        parallelism = reading.parallelism if reading else 1
        return [{"id": key, "name": name, "parallelism": parallelism} for key, name in _VERTICES.items()]

    def _checkpoints(self, job_id: str) -> dict[str, Any]:
        found = self._flink.checkpoints(self._known(job_id).job_id)
        restored = {"external_path": found.restored_from} if found.restored_from else None
        completed = None
        if found.latest_at:
            at = int(found.latest_at.timestamp() * 1000)
            completed = {"external_path": found.latest_path, "latest_ack_timestamp": at}
        return {
            "counts": {"completed": found.completed, "failed": found.failed},
            "latest": {"completed": completed, "restored": restored},
            "history": [_attempt(each) for each in found.history],
        }

    def _metrics(self, job_id: str, vertex: str, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        values = _metrics(self._progress(job_id), vertex)
        if "get" not in query:
            return [{"id": name} for name in values]
        wanted = query["get"][0].split(",")
        return [{"id": name, **values[name]} for name in wanted if name in values]


def _attempt(each: CheckpointAttempt) -> dict[str, Any]:
    return {
        "id": each.checkpoint_id,
        "status": each.status.upper().replace(" ", "_"),
        "is_savepoint": each.is_savepoint,
        "trigger_timestamp": int((each.at.timestamp() - each.took_s) * 1000),
        "end_to_end_duration": int(each.took_s * 1000),
        "state_size": each.state_bytes,
        "external_path": each.path,
        "failure_message": each.failure,
    }


def _metrics(progress: JobProgress, vertex: str) -> dict[str, dict[str, float]]:
    """Return the aggregated metrics of a vertex; idle time is what is left of the busiest subtask's second."""
    reading, committing = progress.reading, progress.committing
    if vertex == _COMMITTER and committing:
        prefix = "playback_warehouse__Committer.IcebergFilesCommitter.table.keystone_events_playback"
        return {
            f"{prefix}.committedDataFilesRecordCount": _aggregated(committing.committed),
            f"{prefix}.elapsedSecondsSinceLastSuccessfulCommit": _aggregated(committing.age_s),
        }
    if vertex != _ROUTER or reading is None:
        return {}
    pending = {} if reading.lag is None else {f"{_SOURCE}.pendingRecords": _aggregated(reading.lag)}
    writing = {"playback_warehouse__Writer.numRecordsIn": _aggregated(committing.written)} if committing else {}
    return {
        "idleTimeMsPerSecond": _aggregated(1000 * (1 - reading.busy)),
        "backPressuredTimeMsPerSecond": _aggregated(1000 * reading.backpressured),
        f"{_SOURCE}.numRecordsIn": _aggregated(reading.events),
        f"{_SOURCE}.numRecordsInPerSecond": _aggregated(reading.per_s),
        "_dead_letters[5]__Writer.numRecordsIn": _aggregated(progress.dead or 0),
        **pending,
        **writing,
    }


def _aggregated(value: float) -> dict[str, float]:
    return {"min": value, "max": value, "avg": value, "sum": value}


def _overview(job: Job) -> dict[str, Any]:
    started = int(job.started.timestamp() * 1000)
    tasks = dict.fromkeys(_TASK_STATES, 0) | {"running": job.tasks_running, "total": job.tasks_total}
    times = {"start-time": started, "end-time": -1, "duration": 1, "last-modification": started}
    return {"jid": job.job_id, "name": job.name, "state": job.state.value, **times, "tasks": tasks}


def _handler(api: _Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers 404 for what is unknown and 503 while the gateway is unreachable, both with Flink's `errors`."""

        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            split = urlsplit(self.path)
            self._answer(lambda: api.get(split.path, parse_qs(split.query)))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
            self._answer(lambda: api.stop(self.path.split("/")[2], body))

        def do_PATCH(self) -> None:
            self._answer(lambda: api.cancel(urlsplit(self.path).path.split("/")[2]))

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Say nothing: stderr is the test's."""

        def _answer(self, answer: Any) -> None:
            try:
                status, value = 200, answer()
            except _Unknown as error:
                status, value = 404, {"errors": [f"not found: {error}"]}
            except Transient as error:
                status, value = 503, {"errors": [str(error)]}
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler
