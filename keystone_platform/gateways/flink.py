"""What the control plane asks of a Flink cluster."""

from __future__ import annotations

from typing import Protocol

from keystone_platform.plan.observation import Checkpoints, Cluster, Job
from keystone_platform.plan.progress import JobProgress


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

    def progress(self, job_id: str) -> JobProgress:
        """Measure the router's job: how far it has come, its rates (events/s), shares of time (0 to 1), checkpoints.

        Some five requests, each tried once: who measures does so again. What its tasks do not (yet) tell is None. The
        metrics behind it are up to some 15 s old, restarts too. Safe from several threads. Transient if it is unknown.
        """
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
