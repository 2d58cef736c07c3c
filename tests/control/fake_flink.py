"""A Flink cluster, and who submits to it: tests/contract/test_flink_contract.py holds both to the real one."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from keystone_platform.errors import Terminal, Transient
from keystone_platform.plan.observation import CheckpointAttempt, Checkpoints, Cluster, Job, JobState
from keystone_platform.plan.progress import Committing, JobProgress, Reading
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.plan.submission import Submission, SubmitOutcome
from tests.control.fake_servers import FakeClock, FakeObjects


@dataclass
class FakeFlink:
    """A session cluster: jobs, checkpoints and savepoints as objects, slots; switched off by `reachable`."""

    objects: FakeObjects
    clock: FakeClock
    slots: int = 8
    reachable: bool = True
    savepoints_fail: bool = False
    known: dict[str, Job] = field(default_factory=dict)
    submissions: list[Submission] = field(default_factory=list)
    reading: dict[str, Reading] = field(default_factory=dict)
    dead: dict[str, int] = field(default_factory=dict)
    committing: dict[str, Committing] = field(default_factory=dict)
    restarted: dict[str, int] = field(default_factory=dict)
    remembered: dict[str, tuple[CheckpointAttempt, ...]] = field(default_factory=dict)
    """What jobs tell of their checkpoints."""
    fails_at_start: set[str] = field(default_factory=set)
    """Digests of plans whose jobs fail as soon as they run."""
    _checkpoints: dict[str, int] = field(default_factory=dict)
    _completed: dict[str, CheckpointAttempt] = field(default_factory=dict)

    def cluster(self) -> Cluster:
        self._answer()
        active = [job for job in self.known.values() if not job.state.is_terminal]
        plans = {item.job_id: item.plan for item in self.submissions}
        return Cluster(1, self.slots, self.slots - sum(plans[job.job_id].parallelism for job in active))

    def jobs(self) -> tuple[Job, ...]:
        self._answer()
        return tuple(self.known.values())

    def job(self, job_id: str) -> Job | None:
        self._answer()
        return self.known.get(job_id)

    def checkpoints(self, job_id: str) -> Checkpoints:
        self._answer()
        made = self._completed.get(job_id)
        return Checkpoints(
            completed=self._checkpoints.get(job_id, 0),
            failed=0,
            latest_path=made.path if made else None,
            latest_at=made.at if made else None,
            restored_from=self._submission(job_id).restore_from,
            history=self.remembered.get(job_id, (made,) if made else ()),
        )

    def progress(self, job_id: str) -> JobProgress:
        self._answer()
        if job_id not in self.known:
            message = f"no job {job_id}"
            raise Transient(message)
        whole = self.known[job_id].is_running
        return JobProgress(
            at=self.clock.now(),
            restarts=self.restarted.get(job_id, 0),
            checkpoints=self.checkpoints(job_id),
            reading=self.reading.get(job_id, self._idle(job_id)) if whole else None,
            dead=self.dead.get(job_id, 0) if whole else None,
            committing=self.committing.get(job_id) if whole else None,
        )

    def count(self, job_id: str, events: int, dead: int = 0) -> None:
        """Let the job have read so many events, and have written so many of them to the dead letters."""
        self.reading[job_id] = replace(self._idle(job_id), events=events, lag=0, per_s=1.0, busy=0.1)
        self.dead[job_id] = dead

    def _idle(self, job_id: str) -> Reading:
        parallelism = self._submission(job_id).plan.parallelism
        return Reading(parallelism=parallelism, events=0, per_s=0.0, lag=None, busy=0.0, backpressured=0.0)

    def failure(self, job_id: str) -> str | None:
        fell = self.known[job_id].state is JobState.FAILED or self.restarted.get(job_id, 0) > 0
        return "java.lang.Exception: it fails" if fell else None

    def stop_with_savepoint(self, job_id: str, directory: str, timeout_s: float) -> str:
        self._answer()
        if self.savepoints_fail:
            message = "the savepoint failed, the job goes on"
            raise Terminal(message)
        uri = f"{directory}/savepoint-{job_id[:6]}"
        self.objects.stored[f"{uri}/_metadata"] = self._metadata(job_id)
        self.set_state(job_id, JobState.FINISHED)
        return uri

    def cancel(self, job_id: str, timeout_s: float) -> None:
        self._answer()
        if job_id in self.known and not self.known[job_id].state.is_terminal:
            self.set_state(job_id, JobState.CANCELED)

    def take(self, submission: Submission) -> SubmitOutcome:
        """Accept a job, as the cluster does: refuse an id that it knows and a restore point that is not there."""
        if submission.job_id in self.known:
            return SubmitOutcome(job_id=submission.job_id, status="duplicate")
        origin = submission.restore_from
        if origin and not self.objects.keys(f"{origin}/_metadata"):
            return SubmitOutcome(job_id=submission.job_id, status="refused", reason=f"no such savepoint {origin}")
        self.submissions.append(submission)
        subtasks = submission.plan.parallelism * 3
        self.known[submission.job_id] = Job(
            submission.job_id, submission.plan.route, JobState.RUNNING, self.clock.now(), subtasks, subtasks
        )
        if submission.plan.digest in self.fails_at_start:
            self.set_state(submission.job_id, JobState.FAILED)
        return SubmitOutcome(job_id=submission.job_id, status="submitted")

    def checkpoint(self, job_id: str, holds: str = "") -> str:
        """Complete one checkpoint of the job, which `holds` these positions, and return its URI."""
        submission = self._submission(job_id)
        metadata = self._metadata(job_id) + holds.encode()
        number = self._checkpoints[job_id]
        uri = f"{submission.checkpoint_directory}/{job_id}/chk-{number}"
        self.objects.stored[f"{uri}/_metadata"] = metadata
        made = CheckpointAttempt(number, "completed", False, self.clock.now(), 0.1, len(metadata), uri)
        self._completed[job_id] = made
        return uri

    def set_state(self, job_id: str, state: JobState) -> None:
        """Put the job into a state."""
        running = self.known[job_id].tasks_total if state is JobState.RUNNING else 0
        self.known[job_id] = replace(self.known[job_id], state=state, tasks_running=running)

    def forget(self) -> None:
        """Lose all jobs, as a session cluster does when its JobManager dies."""
        self.known.clear()

    def _metadata(self, job_id: str) -> bytes:
        self._checkpoints[job_id] = self._checkpoints.get(job_id, 0) + 1
        return struct.pack(">IIq", 0x4960672D, 5, self._checkpoints[job_id])

    def _submission(self, job_id: str) -> Submission:
        return next(item for item in reversed(self.submissions) if item.job_id == job_id)

    def _answer(self) -> None:
        if not self.reachable:
            message = "Flink does not answer"
            raise Transient(message)


@dataclass
class FakeSubmitter:
    """Hands plans to a FakeFlink; `uncompilable` are digests that the planner refuses."""

    flink: FakeFlink
    uncompilable: set[str] = field(default_factory=set)
    has_jvm: bool = True
    dies_before: bool = False
    dies_after: bool = False
    calls: int = 0

    def submit(self, submissions: Sequence[Submission]) -> tuple[SubmitOutcome, ...]:
        self.calls += 1
        if not self.has_jvm:
            message = "no JVM could be started"
            raise Transient(message)
        if self.dies_before:
            return tuple(SubmitOutcome(job_id=item.job_id, status="unknown", reason="it died") for item in submissions)
        outcomes = tuple(self._one(item) for item in submissions)
        if self.dies_after:
            return tuple(SubmitOutcome(job_id=item.job_id, status="unknown", reason="it died") for item in submissions)
        return outcomes

    def check(self, plans: Sequence[RouterPlan]) -> tuple[str, ...]:
        return tuple("it does not compile" if plan.digest in self.uncompilable else "" for plan in plans)

    def _one(self, submission: Submission) -> SubmitOutcome:
        if submission.plan.digest in self.uncompilable:
            return SubmitOutcome(job_id=submission.job_id, status="refused", reason="it does not compile")
        return self.flink.take(submission)
