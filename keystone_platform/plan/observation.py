"""What was observed of a Flink cluster: values that observers make and decisions read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import takewhile
from typing import Literal


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
class CheckpointAttempt:
    """A checkpoint or savepoint that a job made, makes or failed to make.

    Attributes:
        checkpoint_id: counts the job's checkpoints and savepoints together.
        at: when it ended; when it began, while it is in progress.
        took_s: seconds that it took, or takes so far.
        state_bytes: size of its state, so far.
        path: S3 URI of its folder; None unless it completed.
        failure: why it failed; empty unless it did.
    """

    checkpoint_id: int
    status: Literal["in progress", "completed", "failed"]
    is_savepoint: bool
    at: datetime
    took_s: float
    state_bytes: int
    path: str | None = None
    failure: str = ""


@dataclass(frozen=True)
class Checkpoints:
    """A job's checkpoints in this run.

    Attributes:
        completed: how many completed.
        failed: how many failed.
        latest_path: S3 URI of the newest completed one, None before the first.
        latest_at: when that completed.
        restored_from: S3 URI of what the job started from or last restarted from.
        history: the newest ones that Flink remembers, newest first.
    """

    completed: int
    failed: int
    latest_path: str | None
    latest_at: datetime | None
    restored_from: str | None
    history: tuple[CheckpointAttempt, ...] = ()

    @property
    def newest(self) -> CheckpointAttempt | None:
        """The newest completed one; None where Flink remembers none."""
        return next((each for each in self.history if each.status == "completed"), None)

    @property
    def failures(self) -> tuple[CheckpointAttempt, ...]:
        """What failed since then, newest first; no more than Flink remembers (ten attempts)."""
        ended = [each for each in self.history if each.status != "in progress"]
        return tuple(takewhile(lambda each: each.status == "failed", ended))
