"""Finds where a route's next deployment has to start so that nothing is lost and nothing is written twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from keystone_platform.control.gateways import Gateways
from keystone_platform.errors import Terminal, Transient
from keystone_platform.gateways.objects import CHECKPOINT_METADATA, checkpoint_prefix, newest_checkpoint
from keystone_platform.plan.checkpoint_contents import Contents, Reach, positions
from keystone_platform.plan.deployment import Deployment, newest_taken
from keystone_platform.plan.recovery import (
    METADATA_HEAD_BYTES,
    NextOffsets,
    RecoveryPoint,
    checkpoint_id,
    newest,
    offsets_origin,
    positions_of,
)
from keystone_platform.plan.router_plan import RouterPlan, WarehouseTarget


def recovery_point(
    gateways: Gateways, plan: RouterPlan, history: Sequence[Deployment], tell: Callable[[str], None]
) -> str | None:
    """Return what the next deployment starts from: an S3 URI, or offsets (`offsets_origin`); None means the earliest.

    Best first: the savepoint of the last stop, or the newest complete checkpoint or savepoint that the newest
    deployment left (older deployments' are older than its commits); what it started from itself, if it committed
    nothing; for a warehouse route the end of its table, whoever wrote that. A point that is older than its job's newest
    commit is never used: what was committed since would land twice.

    Args:
        gateways: object store, lake and Kafka are read.
        plan: what is to start.
        history: the route's deployments, newest first; the newest has ended or was refused.
        tell: is told what people should know of the choice.

    Raises:
        Terminal: whatever there is to start from would lose or double events.
    """
    last = newest_taken(history)
    target = plan.target if isinstance(plan.target, WarehouseTarget) else None
    committed = gateways.lake.committed_checkpoint(target.table, last.job_id) if target and last else None
    if last:
        found = newest(_left_behind(gateways, last))
        if found and committed is not None and found.checkpoint_id >= committed:
            return found.uri
        origin = found.uri if found else last.restore_from if _is_state(gateways, last.restore_from) else None
        if origin and committed is None and not (target and _is_behind(gateways, plan, target.table, origin)):
            return origin
    if target is None:
        return last.restore_from if last else None
    landed = gateways.lake.next_offsets(target.table, plan.source.topics)
    if landed:
        tell(f"no savepoint or checkpoint is as new as {target.table}: going on where it ends")
        return offsets_origin(_to_go_on_with(gateways, plan, landed, tell))
    if last and committed is not None:
        message = f"{plan.route}: job {last.job_id} has committed to {target.table}; its checkpoints and rows are gone"
        raise Terminal(message, mend="Restore its checkpoints in S3, or land the route in a new table.")
    return None


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


def _is_behind(gateways: Gateways, plan: RouterPlan, table: str, origin: str) -> bool:
    """Whether the table holds events that a job would read again if it started there.

    The table's history tells of no commit of the job, but snapshots expire; rows don't. A state that can't be read is
    taken for right, as its place in the ledger's history says.
    """
    landed = gateways.lake.next_offsets(table, plan.source.topics)
    if not landed:
        return False
    held = contents_of(gateways, origin)
    if held.unreadable:
        return False
    return any(each.behind_table for each in positions(held.offsets, Reach(landed=landed)))


def contents_of(gateways: Gateways, origin: str) -> Contents:
    """Return what a savepoint or checkpoint holds; a JVM reads it."""
    file = f"{origin.rstrip('/')}/{CHECKPOINT_METADATA}"
    (held,) = gateways.checkpoint_reader.read([gateways.objects.head(file, gateways.objects.size(file) or 1)])
    return held


def _is_state(gateways: Gateways, origin: str | None) -> bool:
    """Whether it is a savepoint or checkpoint that is still there."""
    if origin is None or positions_of(origin) is not None:
        return False
    return gateways.objects.size(f"{origin.rstrip('/')}/{CHECKPOINT_METADATA}") is not None


def _to_go_on_with(
    gateways: Gateways, plan: RouterPlan, landed: NextOffsets, tell: Callable[[str], None]
) -> NextOffsets:
    """Return an offset for every partition: where the table ends, or the oldest record that Kafka has."""
    chosen: dict[str, dict[int, int]] = {}
    for topic in plan.source.topics:
        try:
            kept = gateways.kafka.offsets(topic)
        except Transient as error:
            if plan.source.standby is None:
                raise
            # its router reads the other cluster meanwhile; what is named nowhere is read from its beginning
            tell(f"{topic} could not be looked at: going on in it where the table ends ({error})")
            chosen[topic] = dict(landed.get(topic, {}))
            continue
        chosen[topic] = {}
        for partition, oldest in kept.begin.items():
            after = landed.get(topic, {}).get(partition, oldest)
            if after > kept.end[partition]:
                message = (
                    f"{plan.route}: the table holds offset {after - 1} of {topic}, partition {partition}, but the topic"
                    f" ends at {kept.end[partition]}: it was deleted and made anew, and its offsets would come twice"
                )
                raise Terminal(message, mend="Land the route in a new table.")
            if after < oldest:
                tell(f"{topic}, partition {partition}: Kafka has deleted offsets {after} to {oldest - 1} meanwhile")
            chosen[topic][partition] = max(after, oldest)
    return chosen
