"""Finds where a route's next deployment has to start so that nothing is lost and nothing is written twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from keystone_platform.control.gateways import Gateways
from keystone_platform.errors import Terminal
from keystone_platform.gateways.objects import CHECKPOINT_METADATA, checkpoint_prefix, newest_checkpoint
from keystone_platform.plan.deployment import Deployment, newest_taken
from keystone_platform.plan.recovery import METADATA_HEAD_BYTES, RecoveryPoint, checkpoint_id, newest
from keystone_platform.plan.router_plan import WarehouseTarget


def recovery_point(gateways: Gateways, history: Sequence[Deployment]) -> str | None:
    """Return the S3 URI to start the next deployment from; None means the topic's earliest offsets.

    Only the newest deployment that the cluster took counts, as older points are older than its commits: the savepoint
    of its stop, else the newest complete savepoint or checkpoint that it left, else where it started itself.

    Args:
        gateways: the object store and the lake are read.
        history: the route's deployments, newest first; the newest has ended or was refused.

    Raises:
        Terminal: it has committed to its table but left no point: starting would lose or double events.
    """
    last = newest_taken(history)
    if last is None:
        return None
    if last.savepoint:
        return last.savepoint
    found = newest(_left_behind(gateways, last))
    if found:
        return found.uri
    target = last.plan.target
    if isinstance(target, WarehouseTarget) and gateways.lake.has_commits_of(target.table, last.job_id):
        message = f"{last.route}: job {last.job_id} has committed to {target.table}, but its checkpoints are gone"
        raise Terminal(message, mend="Restore its checkpoints in S3, or land the route in a new table.")
    return last.restore_from


def _left_behind(gateways: Gateways, deployment: Deployment) -> Iterator[RecoveryPoint]:
    directory = gateways.checkpoint_directory(deployment.route)
    retained = newest_checkpoint(
        gateways.objects.keys(checkpoint_prefix(directory, deployment.job_id)), directory, deployment.job_id
    )
    if retained:
        yield RecoveryPoint(retained, int(retained.rsplit("-", 1)[1]))
    for key in gateways.objects.keys(gateways.savepoint_directory(deployment.route, deployment.job_id) + "/"):
        if not key.endswith(f"/{CHECKPOINT_METADATA}"):
            continue
        number = checkpoint_id(gateways.objects.head(key, METADATA_HEAD_BYTES))
        if number is not None:
            yield RecoveryPoint(key.removesuffix(f"/{CHECKPOINT_METADATA}"), number)
