"""What the control plane asks of a Flink cluster, and the one thing that talks to its REST API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class JobState(StrEnum):
    """A job's state, as Flink's REST API names it."""

    INITIALIZING = "INITIALIZING"
    CREATED = "CREATED"
    RUNNING = "RUNNING"
    FAILING = "FAILING"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    CANCELED = "CANCELED"
    FINISHED = "FINISHED"
    RESTARTING = "RESTARTING"
    SUSPENDED = "SUSPENDED"
    RECONCILING = "RECONCILING"

    @property
    def is_terminal(self) -> bool:
        """Whether the job will never run again."""
        return self in (JobState.FAILED, JobState.CANCELED, JobState.FINISHED)


@dataclass(frozen=True)
class Job:
    """A job that the cluster knows.

    Attributes:
        job_id: 32 hex digits.
        name: as submitted; for people, never an identity.
        tasks_running: subtasks that run now, of `tasks_total`.
    """

    job_id: str
    name: str
    state: JobState
    started: datetime
    tasks_running: int
    tasks_total: int

    @property
    def is_running(self) -> bool:
        """Whether every subtask runs: RUNNING alone is said of a job that still waits for slots."""
        return self.state is JobState.RUNNING and self.tasks_running == self.tasks_total > 0


@dataclass(frozen=True)
class Cluster:
    """What the cluster can take."""

    task_managers: int
    slots_total: int
    slots_free: int


@dataclass(frozen=True)
class Checkpoints:
    """A job's checkpoints in this run.

    Attributes:
        completed: how many completed.
        failed: how many failed.
        latest_path: S3 URI of the newest completed one, None before the first.
        latest_at: when that completed.
        restored_from: S3 URI of what the job started from or last restarted from.
    """

    completed: int
    failed: int
    latest_path: str | None
    latest_at: datetime | None
    restored_from: str | None


class FlinkGateway(Protocol):
    """A Flink cluster. Every call blocks for one or a few HTTP requests; Transient when it does not answer."""

    def cluster(self) -> Cluster:
        """Return the cluster's slots."""
        ...

    def jobs(self) -> tuple[Job, ...]:
        """Return every job that the cluster remembers, ended ones included, in one request."""
        ...

    def job(self, job_id: str) -> Job | None:
        """Return that job, or None if the cluster does not know it."""
        ...

    def checkpoints(self, job_id: str) -> Checkpoints:
        """Return the job's checkpoint statistics; raises Transient if the job is unknown."""
        ...

    def failure(self, job_id: str) -> str | None:
        """Return the first lines of the job's last exception, or None."""
        ...

    def stop_with_savepoint(self, job_id: str, directory: str, timeout_s: float) -> str:
        """Stop the job with a savepoint below `directory` (S3 URI) and return the savepoint's URI.

        Blocks until the job has finished. Raises Terminal when the savepoint failed and the job goes on, and
        UnknownOutcome when the answer did not come within `timeout_s`.
        """
        ...

    def cancel(self, job_id: str, timeout_s: float) -> None:
        """Cancel the job and block until it is terminal; its checkpoints are retained. Harmless if it is gone."""
        ...
