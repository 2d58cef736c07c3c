"""A Flink session cluster by its REST API."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from keystone_platform.errors import KeystoneError, Terminal, Transient, UnknownOutcome
from keystone_platform.gateways import flink_metrics
from keystone_platform.gateways.clock import Clock, SystemClock
from keystone_platform.gateways.flink_metrics import Answers, Vertex
from keystone_platform.plan.observation import CheckpointAttempt, Checkpoints, Cluster, Job, JobState
from keystone_platform.plan.progress import JobProgress

T = TypeVar("T")

_POLL_S = 0.5


class FlinkRest:
    """FlinkGateway over HTTP. Reads are tried three times; what changes something is sent once.

    Args:
        url: base URL of the API.
        clock: for waits and deadlines.
        timeout_s: of each request.
        http: sends the requests, where the way to the API needs credentials.
    """

    def __init__(
        self, url: str, *, clock: Clock | None = None, timeout_s: float = 10.0, http: httpx.Client | None = None
    ) -> None:
        self._url = url.rstrip("/")
        self._clock = clock or SystemClock()
        self._http = http or httpx.Client(timeout=timeout_s)

    def cluster(self) -> Cluster:
        body = self._get("/overview")
        return Cluster(body["taskmanagers"], body["slots-total"], body["slots-available"])

    def jobs(self) -> tuple[Job, ...]:
        return tuple(_job(entry) for entry in self._get("/jobs/overview")["jobs"])

    def job(self, job_id: str) -> Job | None:
        return next((job for job in self.jobs() if job.job_id == job_id), None)

    def checkpoints(self, job_id: str) -> Checkpoints:
        return _checkpoints(self._get(f"/jobs/{job_id}/checkpoints"))

    def progress(self, job_id: str) -> JobProgress:
        at = self._clock.now()
        job = self._request("GET", f"/jobs/{job_id}")
        found = {vertex: self._metrics(job_id, vertex) for vertex in map(_vertex, job["vertices"])}
        restarts = self._request("GET", f"/jobs/{job_id}/metrics?get=numRestarts")
        rows = _first(flink_metrics.written(vertex, told) for vertex, told in found.items())
        of_committers = [told for vertex, told in found.items() if vertex.is_committer]
        return JobProgress(
            at=at,
            restarts=max((int(metric["value"]) for metric in restarts), default=0),
            checkpoints=_checkpoints(self._request("GET", f"/jobs/{job_id}/checkpoints")),
            reading=flink_metrics.together([*filter(None, map(flink_metrics.reading, found, found.values()))]),
            dead=_first(flink_metrics.dead_letters(vertex, told) for vertex, told in found.items()),
            committing=_first(flink_metrics.committing(rows, told) for told in of_committers),
        )

    def _metrics(self, job_id: str, vertex: Vertex) -> Answers:
        path, names = f"/jobs/{job_id}/vertices/{vertex.vertex_id}/subtasks/metrics", vertex.wanted()
        if vertex.is_committer:
            names = flink_metrics.wanted_of_committer(metric["id"] for metric in self._request("GET", path))
        if not names:
            return {}
        return flink_metrics.answers(self._request("GET", f"{path}?{urlencode({'get': ','.join(names)})}"))

    def failure(self, job_id: str) -> str | None:
        entries = self._get(f"/jobs/{job_id}/exceptions?maxExceptions=1")["exceptionHistory"]["entries"]
        return _root_cause(entries[0]["stacktrace"]) if entries else None

    def stop_with_savepoint(self, job_id: str, directory: str, timeout_s: float) -> str:
        body = {"targetDirectory": directory, "drain": False}
        trigger = self._send("POST", f"/jobs/{job_id}/stop", json=body)["request-id"]
        deadline = self._clock.now().timestamp() + timeout_s
        location: str | None = None
        while self._clock.now().timestamp() < deadline:
            try:
                if location is None:
                    location = self._savepoint(job_id, trigger)
                job = self.job(job_id) if location else None
            except Transient:  # it may have answered another time; the deadline bounds it
                job = None
            if location and job and job.state.is_terminal:
                return location
            self._clock.sleep(_POLL_S)
        message = f"job {job_id}: the stop with savepoint did not end within {timeout_s:.0f} s"
        raise UnknownOutcome(message, mend=f"Look at {self._url}/#/job/{job_id}/checkpoints.")

    def cancel(self, job_id: str, timeout_s: float) -> None:
        job = self.job(job_id)
        if job is None or job.state.is_terminal:
            return
        self._send("PATCH", f"/jobs/{job_id}?mode=cancel")
        deadline = self._clock.now().timestamp() + timeout_s
        while self._clock.now().timestamp() < deadline:
            job = self.job(job_id)
            if job is None or job.state.is_terminal:
                return
            self._clock.sleep(_POLL_S)
        message = f"job {job_id} is still being cancelled after {timeout_s:.0f} s"
        raise UnknownOutcome(message, mend=f"Look at {self._url}/#/job/{job_id}/overview.")

    def _savepoint(self, job_id: str, trigger: str) -> str | None:
        answer = self._get(f"/jobs/{job_id}/savepoints/{trigger}")
        if answer["status"]["id"] != "COMPLETED":
            return None
        operation = answer["operation"]
        if "failure-cause" in operation:
            reason = _root_cause(operation["failure-cause"].get("stack-trace", "")) or "no reason given"
            message = f"job {job_id}: the savepoint failed, the job goes on: {reason}"
            raise Terminal(message, mend="Look at the job's checkpoints; is S3 reachable and writable?")
        location: str = operation["location"]
        return location

    def _get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        retry = retry_if_exception_type(Transient)
        for attempt in Retrying(
            retry=retry,
            stop=stop_after_attempt(3),
            wait=wait_exponential(0.2),
            sleep=self._clock.sleep,
            reraise=True,
        ):
            with attempt:
                return self._request("GET", path)
        raise AssertionError  # reraise=True: the loop returns or raises

    def _send(self, method: str, path: str, json: Any = None) -> Any:  # noqa: ANN401 - JSON
        try:
            return self._request(method, path, json)
        except Transient as error:
            if isinstance(error.__cause__, httpx.ConnectError):
                raise  # nothing was sent
            message = f"{method} {path}: {error.what}"
            raise UnknownOutcome(message, mend="It may have been done: observe before acting again.") from error

    def _request(self, method: str, path: str, json: Any = None) -> Any:  # noqa: ANN401 - JSON
        try:
            response = self._http.request(method, f"{self._url}{path}", json=json)
        except httpx.HTTPError as error:
            message = f"Flink at {self._url} does not answer ({type(error).__name__})"
            raise Transient(message, mend="Is the JobManager up? `keystone status` tells.") from error
        if not response.is_success:
            raise self._refusal(method, path, response)
        try:
            return response.json() if response.content else None
        except ValueError as error:  # something between us and Flink, a login page say
            message = f"Flink at {self._url} answers {method} {path} with no JSON: {response.text[:200]}"
            raise Transient(message, mend="Is that the JobManager's address?") from error

    def _refusal(self, method: str, path: str, response: httpx.Response) -> KeystoneError:
        message = f"Flink refused {method} {path}: {response.status_code} {_error_text(response)}"
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or response.status_code == httpx.codes.NOT_FOUND:
            return Transient(message)  # also 404: a job manager that is starting does not know its jobs yet
        return Terminal(message)


def _job(entry: dict[str, Any]) -> Job:
    tasks = entry["tasks"]
    return Job(
        job_id=entry["jid"],
        name=entry["name"],
        state=JobState(entry["state"]),
        started=_time(entry["start-time"]),
        tasks_running=tasks["running"],
        tasks_total=tasks["total"],
    )


_STATUS: dict[str, Literal["in progress", "completed", "failed"]] = {
    "IN_PROGRESS": "in progress",
    "COMPLETED": "completed",
    "FAILED": "failed",
}


def _attempt(entry: dict[str, Any]) -> CheckpointAttempt:
    status = _STATUS[entry["status"]]
    began, took_ms = entry["trigger_timestamp"], max(0, entry["end_to_end_duration"])
    return CheckpointAttempt(
        checkpoint_id=entry["id"],
        status=status,
        is_savepoint=entry["is_savepoint"],
        at=_time(began if status == "in progress" else began + took_ms),
        took_s=took_ms / 1000,
        state_bytes=entry["state_size"],
        path=entry.get("external_path"),
        failure=(_root_cause(entry.get("failure_message") or "") or "no reason given") if status == "failed" else "",
    )


def _vertex(entry: dict[str, Any]) -> Vertex:
    return Vertex(entry["id"], entry["name"], entry["parallelism"])


def _first(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value is not None), None)


def _checkpoints(body: dict[str, Any]) -> Checkpoints:
    latest = body["latest"] or {}
    completed = latest.get("completed") or {}
    restored = latest.get("restored") or {}
    return Checkpoints(
        completed=body["counts"]["completed"],
        failed=body["counts"]["failed"],
        latest_path=completed.get("external_path"),
        latest_at=_time(completed["latest_ack_timestamp"]) if completed else None,
        restored_from=restored.get("external_path"),
        history=tuple(map(_attempt, body["history"])),
    )


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _error_text(response: httpx.Response) -> str:
    try:
        errors = response.json()["errors"]
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
    return _root_cause("\n".join(errors)) or "no reason given"


def _root_cause(stacktrace: str) -> str | None:
    """Return the innermost cause's first line: what a person needs of a Java stack trace."""
    lines = [line for line in stacktrace.splitlines() if line.strip() and not line.lstrip().startswith(("at ", "..."))]
    causes = [line.removeprefix("Caused by: ").strip() for line in lines if line.startswith("Caused by: ")]
    if causes:
        return causes[-1]
    return lines[0].strip() if lines else None
