"""Jobs that must not run beside a route's newest deployment: a pure comparison of cluster and ledger.

A copy comes from a submission that arrived after somebody had taken its actor for dead, or from a cluster that was
restored with the jobs of an earlier time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from keystone_platform.plan.deployment import Deployment, Outcome
from keystone_platform.plan.observation import Job


@dataclass(frozen=True)
class Stray:
    """A job that runs and should not.

    Attributes:
        epoch: the deployment that it is; None when the ledger knows no such job, and only its name is a route's.
        why: in words for people.
    """

    job: Job
    route: str
    epoch: int | None
    why: str

    @property
    def is_ours(self) -> bool:
        """Whether the ledger made it: only then may it be ended. A name is no identity."""
        return self.epoch is not None

    def __str__(self) -> str:
        return f"job {self.job.job_id} of {self.route}: {self.why}"


def unaccounted(jobs: Iterable[Job], latest: Mapping[str, Deployment]) -> tuple[Job, ...]:
    """Return the jobs that have not ended and are no open newest deployment of a route."""
    open_ids = {each.job_id for each in latest.values() if each.is_open}
    return tuple(job for job in jobs if not job.state.is_terminal and job.job_id not in open_ids)


def strays(
    jobs: Iterable[Job], latest: Mapping[str, Deployment], of_jobs: Mapping[str, Deployment], routes: Collection[str]
) -> tuple[Stray, ...]:
    """Return which of the unaccounted jobs are strays of the routes.

    A job of an epoch that is newer than `latest` knows is none: it was deployed since that was read.

    Args:
        jobs: as `unaccounted` returns them.
        latest: each route's newest deployment.
        of_jobs: what the ledger knows of these jobs, by their ids.
        routes: names of routes, deployed or not; a job that the ledger does not know is told if it has one of them.
    """
    found = (_stray(job, of_jobs.get(job.job_id), latest, routes) for job in jobs)
    return tuple(stray for stray in found if stray)


def _stray(
    job: Job, known: Deployment | None, latest: Mapping[str, Deployment], routes: Collection[str]
) -> Stray | None:
    if known is None:
        why = "this ledger knows no such job, but it is named like the route"
        return Stray(job, job.name, None, why) if job.name in routes else None
    newest = latest.get(known.route, known)
    if known.epoch < newest.epoch:
        why = f"a copy of epoch {known.epoch}, epoch {newest.epoch} is the newest"
        return Stray(job, known.route, known.epoch, why)
    if known.epoch > newest.epoch or known.is_open:
        return None
    ended = "refused" if known.outcome is Outcome.REFUSED else known.end
    return Stray(job, known.route, known.epoch, f"epoch {known.epoch} still runs, the ledger has it as {ended}")
