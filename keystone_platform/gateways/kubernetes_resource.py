"""What the API server says of a FlinkDeployment, as far as the control plane reads it (pure)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from keystone_platform.gateways.flink_deployment import EPOCH, JOB_ID, MANAGED_BY, OWNER, ROUTE
from keystone_platform.plan.observation import Job, JobState


@dataclass(frozen=True)
class Resource:
    """A FlinkDeployment at one moment.

    Attributes:
        uid: tells it from another one of the same name, before or after it.
        version: counts each change, of status too; a write that names it is refused when it is no longer this one.
        generation: counts changes of the spec.
        observed_generation: the newest spec that the operator has acted on; 0 before the first.
        route: empty where Keystone did not make it; then `epoch` is 0 and `job_id` empty.
        job_state: as the operator last saw it: RUNNING when every subtask runs. None before it saw any.
        error: the operator's own words, JSON or text; empty when there is none.
        savepoint: S3 URI of the savepoint of the stop.
        task_managers: how many it has, as the operator counts them.
    """

    name: str
    uid: str
    version: str
    generation: int
    observed_generation: int
    created: datetime
    is_deleted: bool
    route: str
    epoch: int
    job_id: str
    parallelism: int
    lifecycle: str
    job_state: JobState | None
    error: str
    savepoint: str | None
    task_managers: int

    @property
    def is_ours(self) -> bool:
        """Whether Keystone made it."""
        return bool(self.job_id)

    @property
    def is_suspended(self) -> bool:
        """Whether the operator has ended the job because the spec asks for it."""
        return self.lifecycle == "SUSPENDED"

    @property
    def has_failed(self) -> bool:
        """Whether the operator has given it up: no job of it will run unless somebody acts."""
        return self.lifecycle == "FAILED"

    @property
    def is_over(self) -> bool:
        """Whether no job of it runs or will run by itself."""
        return self.is_suspended or self.has_failed or bool(self.job_state and self.job_state.is_terminal)

    def job(self) -> Job:
        """Return its job as a session cluster would tell of it; subtasks are counted in units of parallelism."""
        running = self.parallelism if self.job_state is JobState.RUNNING else 0
        return Job(self.job_id, self.route, self._state(), self.created, running, self.parallelism)

    def reason(self) -> str | None:
        """Return the operator's error in one line, its innermost cause; None when there is none."""
        if not self.error:
            return None
        try:
            told = json.loads(self.error)
            causes = [each["message"] for each in told.get("throwableList") or () if each.get("message")]
            return str(causes[-1] if causes else told["message"]).splitlines()[0]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return self.error.splitlines()[0]

    def _state(self) -> JobState:
        if self.job_state and self.job_state.is_terminal:
            return self.job_state
        if self.has_failed:
            return JobState.FAILED
        if self.is_suspended:
            return JobState.FINISHED
        if self.is_deleted:
            return JobState.CANCELLING
        return self.job_state or JobState.INITIALIZING


def resource_of(body: dict[str, Any]) -> Resource:
    """Return the resource of an answer of the API server."""
    meta, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    labels, job, job_status = meta.get("labels") or {}, spec.get("job") or {}, status.get("jobStatus") or {}
    ours = labels.get(MANAGED_BY) == OWNER and JOB_ID in labels
    savepoint = job_status.get("upgradeSavepointPath")
    if savepoint is None:  # older operators tell it there only
        last = (job_status.get("savepointInfo") or {}).get("lastSavepoint") or {}
        savepoint = last.get("location")
    return Resource(
        name=meta["name"],
        uid=meta["uid"],
        version=meta["resourceVersion"],
        generation=meta.get("generation", 0),
        observed_generation=status.get("observedGeneration") or 0,
        created=_started(job_status) or datetime.fromisoformat(meta["creationTimestamp"]),
        is_deleted="deletionTimestamp" in meta,
        route=(meta.get("annotations") or {}).get(ROUTE, "") if ours else "",
        epoch=int(labels.get(EPOCH, 0)) if ours else 0,
        job_id=labels[JOB_ID] if ours else "",
        parallelism=job.get("parallelism") or 1,
        lifecycle=status.get("lifecycleState") or "",
        job_state=_job_state(job_status.get("state")),
        error=status.get("error") or "",
        savepoint=savepoint,
        task_managers=(status.get("taskManager") or {}).get("replicas") or 0,
    )


def _started(job_status: dict[str, Any]) -> datetime | None:
    milliseconds = job_status.get("startTime")
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None


def _job_state(told: str | None) -> JobState | None:
    """Return the state; a word of a newer operator counts as none, which is never taken for an end."""
    return JobState(told) if told and told in JobState.__members__ else None
