"""One look at the whole fleet: one request to the cluster, one query to the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.strays import find_strays
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.lifecycle import Lifecycle, lifecycle
from keystone_platform.plan.observation import Job
from keystone_platform.plan.stray import Stray


@dataclass(frozen=True)
class RouteStatus:
    """What is known of a route now.

    Attributes:
        last: its newest deployment; None if it was never deployed.
        job: what the cluster says of that deployment's job; None if it knows none.
        strays: other jobs of it that run and should not.
    """

    route: str
    state: Lifecycle
    last: Deployment | None
    job: Job | None
    strays: tuple[Stray, ...] = ()


def sweep(gateways: Gateways, routes: Sequence[str]) -> tuple[RouteStatus, ...]:
    """Return the status of each route, in the given order; raises Transient if cluster or ledger do not answer."""
    jobs = {job.job_id: job for job in gateways.flink.jobs()}
    latest = gateways.ledger.latest()
    strays: dict[str, tuple[Stray, ...]] = {}
    for stray in find_strays(gateways, jobs.values(), latest, routes):
        strays[stray.route] = (*strays.get(stray.route, ()), stray)
    now = gateways.clock.now()
    statuses = []
    for route in routes:
        last = latest.get(route)
        job = jobs.get(last.job_id) if last else None
        statuses.append(RouteStatus(route, lifecycle(last, job, now), last, job, strays.get(route, ())))
    return tuple(statuses)
