"""The Flink Kubernetes Operator as a client of FlinkDeployments sees it, over whatever runs the jobs.

It talks to whatever API server it is given. What it writes into the status, and when, follows the operator's released
sources (ApplicationReconciler, AbstractFlinkService, CommonStatus); no test here holds it to a real operator.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from keystone_platform.errors import KeystoneError, Terminal
from keystone_platform.gateways.flink_deployment import API_VERSION
from keystone_platform.plan.observation import JobState
from keystone_platform.plan.submission import ApplicationRequest
from tests.control.fake_flink import FakeFlink

FINALIZER = "flinkdeployments.flink.apache.org/finalizer"

_MERGE = {"Content-Type": "application/merge-patch+json"}


class Runtime(Protocol):
    """What stands for the pods of routers."""

    def start(self, body: dict[str, Any]) -> str:
        """Start the FlinkDeployment's cluster and job; return why that can't be, empty when it starts."""
        ...

    def state(self, job_id: str) -> JobState | None:
        """Return the job's state, RUNNING when every subtask runs; None when nobody answers."""
        ...

    def stop(self, job_id: str, directory: str) -> str:
        """Stop with a savepoint, end the cluster and return the savepoint's URI; raises Terminal if it fails."""
        ...

    def cancel(self, job_id: str) -> None:
        """Cancel the job and end its cluster; harmless when there is none."""
        ...

    def failure(self, job_id: str) -> str | None:
        """Return why the job failed."""
        ...


@dataclass(frozen=True)
class FakeRuntime:
    """Runs jobs on a FakeFlink."""

    flink: FakeFlink

    def start(self, body: dict[str, Any]) -> str:
        job = body["spec"]["job"]
        submission = ApplicationRequest.decoded(job["args"][-1]).submission
        assert submission.job_id == job_id_of(body)
        outcome = self.flink.take(submission.model_copy(update={"restore_from": job.get("initialSavepointPath")}))
        return "" if outcome.status == "submitted" else outcome.reason

    def state(self, job_id: str) -> JobState | None:
        job = self.flink.known.get(job_id)
        return job.state if job else None

    def stop(self, job_id: str, directory: str) -> str:
        return self.flink.stop_with_savepoint(job_id, directory, 60)

    def cancel(self, job_id: str) -> None:
        self.flink.cancel(job_id, 60)

    def failure(self, job_id: str) -> str | None:
        return self.flink.failure(job_id)


@dataclass
class Operator:
    """Reconciles every FlinkDeployment of a namespace again and again, until it is stopped.

    Attributes:
        http: client of the API server.
        runtime: what runs the jobs.
        is_away: it does nothing, as when its pod is down.
    """

    http: httpx.Client
    namespace: str
    runtime: Runtime
    is_away: bool = False

    @property
    def path(self) -> str:
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/flinkdeployments"

    def reconcile_all(self) -> None:
        """Look at each resource once."""
        for body in self.http.get(self.path).raise_for_status().json()["items"]:
            self._reconcile(body)

    def _reconcile(self, body: dict[str, Any]) -> None:
        meta, status = body["metadata"], body.get("status", {})
        if "deletionTimestamp" in meta:
            self.runtime.cancel(job_id_of(body))
            self._patch(body, {"metadata": {"finalizers": None}})
        elif FINALIZER not in meta.get("finalizers", ()):
            self._patch(body, {"metadata": {"finalizers": [FINALIZER]}})
        elif "observedGeneration" not in status:
            self._deploy(body)
        elif body["spec"]["job"]["state"] == "suspended" and status["lifecycleState"] != "SUSPENDED":
            self._suspend(body)
        elif status["lifecycleState"] != "SUSPENDED":
            self._observe(body)

    def _deploy(self, body: dict[str, Any]) -> None:
        refused = self.runtime.start(body)
        if refused:
            return self._report(body, JobState.FAILED, "FAILED", error=refused)
        return self._report(body, JobState.RECONCILING, "DEPLOYED")

    def _suspend(self, body: dict[str, Any]) -> None:
        directory = body["spec"]["flinkConfiguration"]["execution.checkpointing.savepoint-dir"]
        try:
            savepoint = self.runtime.stop(job_id_of(body), directory)
        except Terminal as error:
            state = JobState(body["status"]["jobStatus"]["state"])
            self._report(body, state, body["status"]["lifecycleState"], error=str(error), acted=False)
        else:
            self._report(body, JobState.FINISHED, "SUSPENDED", savepoint=savepoint)

    def _observe(self, body: dict[str, Any]) -> None:
        state = self.runtime.state(job_id_of(body))
        if state and state.value != body["status"]["jobStatus"]["state"]:
            lifecycle = "FAILED" if state is JobState.FAILED else "STABLE"
            error = self.runtime.failure(job_id_of(body)) if state is JobState.FAILED else None
            self._report(body, state, lifecycle, error=error)

    def _report(
        self,
        body: dict[str, Any],
        state: JobState,
        lifecycle: str,
        *,
        error: str | None = None,
        savepoint: str | None = None,
        acted: bool = True,
    ) -> None:
        job_status = {"state": state.value, "jobId": job_id_of(body), "upgradeSavepointPath": savepoint}
        told = json.dumps({"type": "ReconciliationException", "message": error, "throwableList": []}) if error else None
        status: dict[str, Any] = {"lifecycleState": lifecycle, "jobStatus": job_status, "error": told}
        status["taskManager"] = {"replicas": body["spec"]["job"]["parallelism"]}
        if acted:
            status["observedGeneration"] = body["metadata"]["generation"]
        self._patch(body, {"status": status}, "/status")

    def _patch(self, body: dict[str, Any], change: dict[str, Any], part: str = "") -> None:
        """Write as the operator does: if somebody else was quicker, the next round looks again."""
        precondition = {"resourceVersion": body["metadata"]["resourceVersion"]}
        change = change | {"metadata": {**change.get("metadata", {}), **precondition}}
        path = f"{self.path}/{body['metadata']['name']}{part}"
        answer = self.http.patch(path, content=json.dumps(change), headers=_MERGE)
        if answer.status_code not in (404, 409):
            answer.raise_for_status()


def job_id_of(body: dict[str, Any]) -> str:
    """Return the job id that the cluster is configured with."""
    job_id: str = body["spec"]["flinkConfiguration"]["$internal.pipeline.job-id"]
    return job_id


@contextmanager
def running(operator: Operator) -> Iterator[Operator]:
    """Let it reconcile in a thread of its own."""
    over = threading.Event()

    def loop() -> None:
        while not over.wait(0.02):
            if operator.is_away:
                continue
            try:
                operator.reconcile_all()
            except (httpx.HTTPError, KeystoneError):
                continue  # the API server or Flink is away: the next round

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield operator
    finally:
        over.set()
        thread.join()
