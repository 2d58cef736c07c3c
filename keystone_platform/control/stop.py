"""Ends a deployment so that the next one can start where it ended."""

from __future__ import annotations

from datetime import timedelta

from keystone_platform.control.gateways import Gateways
from keystone_platform.errors import Terminal
from keystone_platform.plan.deployment import Deployment, End

SAVEPOINT_TIMEOUT_S = 150.0
"""How long a stop may take; below ACT_TIMEOUT, so that nobody takes this act for abandoned while it goes on."""

CANCEL_TIMEOUT_S = 60.0

STARTING = timedelta(seconds=20)
"""So long after its submission a job that does not run whole is taken to be starting."""


_LOOK_AGAIN_S = 0.5


def stop(
    gateways: Gateways, deployment: Deployment, end: End, note: str = "", *, or_cancel: bool = False
) -> Deployment:
    """Stop the job and record its end; return the deployment with the savepoint, if one was made.

    A job that runs whole is stopped with a savepoint, and one that is starting is waited for. One that restarts or
    waits for slots cannot make one: it is cancelled, and its newest checkpoint is where the next start
    goes on; with `or_cancel` so is one whose savepoint fails.

    Raises:
        Terminal: the savepoint failed; the job goes on.
        UnknownOutcome: no answer in time; the intent stays in the ledger and the next reconcile finds out.
    """
    stopping = gateways.ledger.intend_stop(deployment, now=gateways.clock.now())
    savepoint = None
    if _runs_whole(gateways, deployment.job_id):
        directory = gateways.savepoint_directory(deployment.route, deployment.job_id)
        try:
            savepoint = gateways.flink.stop_with_savepoint(deployment.job_id, directory, SAVEPOINT_TIMEOUT_S)
        except Terminal:
            if not or_cancel:
                raise
    if savepoint is None:
        gateways.flink.cancel(deployment.job_id, CANCEL_TIMEOUT_S)
    return gateways.ledger.record_end(stopping, end, savepoint=savepoint, note=note, now=gateways.clock.now())


def _runs_whole(gateways: Gateways, job_id: str) -> bool:
    """Look now, since what was observed before the plan was compiled is old; what was just submitted is waited for."""
    while True:
        job = gateways.flink.job(job_id)
        if job is None or job.state.is_terminal:
            return False
        if job.is_running or gateways.clock.now() - job.started >= STARTING:
            return job.is_running
        gateways.clock.sleep(_LOOK_AGAIN_S)
