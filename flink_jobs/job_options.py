"""The job's configuration. A cluster's own does not reach jobs that PyFlink submits, so all of it is said here."""

from __future__ import annotations

from keystone_platform.plan.backfill import Backfill, TableSnapshot
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.plan.submission import Submission
from keystone_platform.spec.sinks import CHECKPOINT_TIMEOUT_S

LARGEST_PARALLELISM = 1024
"""The spec's bound. A job can never be rescaled beyond the value that it was first started with."""


def planner_options(plan: RouterPlan) -> dict[str, str]:
    """Return what decides which operators the plan becomes."""
    return {
        "execution.runtime-mode": "STREAMING",
        "parallelism.default": str(plan.parallelism),
        "pipeline.max-parallelism": str(LARGEST_PARALLELISM),
        "pipeline.name": plan.route,
        "pipeline.object-reuse": "true",
        "table.local-time-zone": "UTC",
        # without stable ids a changed plan can't be started from the savepoint of the one before
        "table.exec.uid.generation": "ALWAYS",
        # sink v1 loses rows without a word; the table's own option of this name does nothing
        "table.exec.iceberg.use-v2-sink": "true",
    }


def job_options(submission: Submission) -> dict[str, str]:
    """Return the whole configuration of the submission's job."""
    return {
        **planner_options(submission.plan),
        **_checkpoints(submission),
        **(_restarts() if submission.backfill is None else _backfill(submission.backfill)),
        **_identity(submission),
    }


def _checkpoints(submission: Submission) -> dict[str, str]:
    interval = submission.plan.checkpoint_interval_s
    return {
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.interval": f"{interval} s",
        "execution.checkpointing.min-pause": f"{max(1, interval // 2)} s",
        "execution.checkpointing.timeout": f"{CHECKPOINT_TIMEOUT_S // 60} min",
        "execution.checkpointing.max-concurrent-checkpoints": "1",
        # while the object store is away each checkpoint fails at once; a restart mends nothing of that, and makes a
        # route that delivers at least once pass its events on again. A sink that can't write fails its task anyway
        "execution.checkpointing.tolerable-failed-checkpoints": "100",
        "execution.checkpointing.unaligned.enabled": "false",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.num-retained": "3",
        "execution.checkpointing.storage": "filesystem",
        "execution.checkpointing.dir": submission.checkpoint_directory,
        # a router's state is a few positions: inlined, a checkpoint is one object, written by the JobManager alone
        "execution.checkpointing.data-inline-threshold": "1 mb",
        "state.backend.type": "hashmap",
    }


def _restarts() -> dict[str, str]:
    return {
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "30 s",
        "restart-strategy.exponential-delay.backoff-multiplier": "2.0",
        "restart-strategy.exponential-delay.jitter-factor": "0.1",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "5 min",
    }


def _backfill(backfill: Backfill) -> dict[str, str]:
    """Return what differs where the job ends: somebody waits for it, so it does not try for ever."""
    options = {
        # not the route's: a job that is named like a route is taken for a copy of it
        "pipeline.name": backfill.branch,
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": "3",
        "restart-strategy.fixed-delay.delay": "2 s",
    }
    if isinstance(backfill.source, TableSnapshot):
        # else Iceberg takes as many subtasks as there are files to read, and there are not as many slots
        options["table.exec.iceberg.infer-source-parallelism"] = "false"
    return options


def _identity(submission: Submission) -> dict[str, str]:
    identity = {"$internal.pipeline.job-id": submission.job_id}
    if submission.restore_from is not None:
        identity |= {
            "execution.state-recovery.path": submission.restore_from,
            "execution.state-recovery.claim-mode": "NO_CLAIM",
            # state that nothing takes would be positions that nothing continues from
            "execution.state-recovery.ignore-unclaimed-state": str(submission.leaves_state).lower(),
        }
    return identity
