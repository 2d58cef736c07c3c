"""The bounded Flink job of a backfill: submitted once, whoever asks how often, and waited for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from assets.backfill.proof import Tell
from keystone_platform.errors import Terminal, Transient, UnknownOutcome
from keystone_platform.gateways.clock import Clock
from keystone_platform.gateways.submit import Submitter
from keystone_platform.plan.backfill import Backfill
from keystone_platform.plan.observation import Cluster, Job, JobState
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.plan.submission import Submission

CHECKPOINT_INTERVAL_S = 10
"""At most: a job that has read everything ends with the next checkpoint."""

POLL_S = 1.0
SILENCE_S = 120.0
"""How long a cluster may not answer, or not know the job, while it is waited for."""

CANCEL_TIMEOUT_S = 60.0


class BackfillCluster(Protocol):
    """What of a Flink cluster a backfill needs: see FlinkGateway."""

    def cluster(self) -> Cluster: ...

    def job(self, job_id: str) -> Job | None: ...

    def failure(self, job_id: str) -> str | None: ...

    def cancel(self, job_id: str, timeout_s: float) -> None: ...


@dataclass(frozen=True)
class JobRunner:
    """Runs backfills' jobs on a session cluster.

    Attributes:
        checkpoints: S3 URI below which their checkpoints go.
    """

    flink: BackfillCluster
    submitter: Submitter
    clock: Clock
    checkpoints: str

    def run(self, plan: RouterPlan, backfill: Backfill, has_written: bool, tell: Tell) -> None:
        """Submit the job unless it is there, and block until it has finished.

        Args:
            plan: the route's.
            backfill: names the job.
            has_written: whether its branch has a commit of the job: then one that the cluster does not know has run,
                and is not run again; the proof says whether it came to its end.
            tell: is told how it gets on.

        Raises:
            Terminal: no slot is free; Flink refuses the job; the job failed.
            Transient: no JVM; the cluster lost the job, or is silent.
            UnknownOutcome: it is not known whether the cluster took it.
        """
        if self.flink.job(backfill.job_id) is None:
            if has_written:
                tell("the cluster does not know the job any more; its rows are in the branch")
                return
            self._submit(plan, backfill, tell)
        self._wait(backfill, tell)

    def end(self, backfill: Backfill) -> None:
        """Cancel the job, and block until it can write no more. Harmless when there is none."""
        self.flink.cancel(backfill.job_id, CANCEL_TIMEOUT_S)

    def _submit(self, plan: RouterPlan, backfill: Backfill, tell: Tell) -> None:
        free = self.flink.cluster().slots_free
        if not free:
            message = "the Flink cluster has no free slot for a backfill"
            raise Terminal(message, mend="Stop or scale down a router, or add a TaskManager; then run it again.")
        parallelism = min(plan.parallelism, free)
        interval = min(plan.checkpoint_interval_s, CHECKPOINT_INTERVAL_S)
        tell(f"submitting job {backfill.job_id}, parallelism {parallelism}")
        submission = Submission(
            plan=plan.model_copy(update={"parallelism": parallelism, "checkpoint_interval_s": interval}),
            epoch=0,
            job_id=backfill.job_id,
            restore_from=None,
            checkpoint_directory=f"{self.checkpoints}/checkpoints/{backfill.branch}",
            savepoint_directory=f"{self.checkpoints}/savepoints/{backfill.branch}",
            backfill=backfill,
        )
        (outcome,) = self.submitter.submit([submission])
        if outcome.status == "refused":
            message = f"Flink refused the backfill of {plan.route}: {outcome.reason}"
            raise Terminal(message, mend="Mend what the reason names, then run it again.")
        if outcome.status == "unknown" and self.flink.job(backfill.job_id) is None:
            message = f"it is not known whether Flink took job {backfill.job_id}: {outcome.reason}"
            raise UnknownOutcome(message, mend="Run the backfill again: it looks for the job first.")

    def _wait(self, backfill: Backfill, tell: Tell) -> None:
        silent_since = self.clock.now()
        while True:
            try:
                job = self.flink.job(backfill.job_id)
            except Transient:
                job = None
            now = self.clock.now()
            if job is None:
                if (now - silent_since).total_seconds() > SILENCE_S:
                    message = f"Flink does not know job {backfill.job_id} any more, or does not answer"
                    raise Transient(message, mend="Run the backfill again.")
            else:
                silent_since = now
                if job.state is JobState.FINISHED:
                    return
                if job.state.is_terminal:
                    raise self._failed(backfill, job.state)
                tell(f"job {job.state.lower()}, {job.tasks_running} of {job.tasks_total} tasks")
            self.clock.sleep(POLL_S)

    def _failed(self, backfill: Backfill, state: JobState) -> Terminal:
        try:
            reason = self.flink.failure(backfill.job_id) or "no exception reported"
        except Transient as error:
            reason = str(error)
        message = f"the job of {backfill.branch} ended {state.lower()}: {reason}"
        return Terminal(message, mend="Nothing was changed. Mend what the reason names, then run it again.")
