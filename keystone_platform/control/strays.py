"""Finds and ends jobs that must not run beside a route's newest deployment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.stop import CANCEL_TIMEOUT_S
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.observation import Job
from keystone_platform.plan.stray import Stray, strays, unaccounted


def find_strays(
    gateways: Gateways, jobs: Iterable[Job], latest: Mapping[str, Deployment], routes: Iterable[str] = ()
) -> tuple[Stray, ...]:
    """Return the stray jobs of these routes and of all that were deployed.

    One query to the ledger, and none when every job is accounted for.
    """
    suspects = unaccounted(jobs, latest)
    known = gateways.ledger.of_jobs([job.job_id for job in suspects]) if suspects else {}
    return strays(suspects, latest, known, {*latest, *routes})


def end_strays(gateways: Gateways, found: Sequence[Stray]) -> None:
    """Cancel those that the ledger made, and no others; blocks until each is over.

    No savepoint is made: where a copy is, is no place to start from. Harmless for one that has ended meanwhile.

    Raises:
        Transient, UnknownOutcome: the cluster does not answer.
    """
    for stray in found:
        if stray.is_ours:
            gateways.flink.cancel(stray.job.job_id, CANCEL_TIMEOUT_S)
