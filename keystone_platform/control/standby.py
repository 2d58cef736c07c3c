"""What a router's start has to mind where its stream gets a standby cluster, or another, or none any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.prepare import topics_by_cluster
from keystone_platform.control.recovery import contents_of, recovery_point
from keystone_platform.errors import KeystoneError, Terminal, Transient, UnknownOutcome
from keystone_platform.plan.checkpoint_contents import Reach, positions, total_lag
from keystone_platform.plan.deployment import Cause, Deployment, newest_taken
from keystone_platform.plan.recovery import positions_of, positions_text
from keystone_platform.plan.router_plan import KafkaTarget, RouterPlan, WarehouseTarget


def left_behind(history: Sequence[Deployment], plan: RouterPlan) -> str | None:
    """Return the standby cluster that the newest deployment reads and the plan does not; None if there is none."""
    before = newest_taken(history)
    standby = before.plan.source.standby if before else None
    return standby if standby != plan.source.standby else None


def standby_error(
    gateways: Gateways, plan: RouterPlan, history: Sequence[Deployment], cause: Cause | None
) -> KeystoneError | None:
    """Return why the plan can't follow the newest deployment, see `check_left` and `check_gained`; None if it can.

    A rollback may leave events unread: they are left to a later apply.
    """
    try:
        check_gained(plan, history)
        if cause is not Cause.ROLLBACK:
            check_left(gateways, plan, history)
    except KeystoneError as error:
        return error
    return None


def check_left(gateways: Gateways, plan: RouterPlan, history: Sequence[Deployment]) -> None:
    """Make sure that no event is left unread on a cluster that the plan does not read any more.

    Of a route that somebody has stopped, a cluster that does not answer may be left: it may be gone for good. Reads the
    newest checkpoint, which takes a JVM, only where there is such a cluster.

    Raises:
        Terminal: there are such events, or it can't be told.
    """
    before, cluster = newest_taken(history), left_behind(history, plan)
    if before is None or cluster is None:
        return
    source = before.plan.source
    mend = f"Send nothing there any more, let the router read all of it, then take {cluster} from the stream."
    try:
        reach = {topic: gateways.kafka.offsets(topic) for topic in source.standby_topics}
    except Transient as error:
        if not before.is_open:
            return
        message = f"{plan.route}: what it has not read of {cluster} is not known: {error}"
        mend = f"Start the cluster; if it is gone for good: keystone stop {plan.route}, then apply."
        raise Terminal(message, mend=mend) from error
    origin = recovery_point(gateways, before.plan, history, lambda _: None)
    held = contents_of(gateways, origin) if origin and not positions_of(origin) else None
    if held is None or held.unreadable:
        message = f"{plan.route}: what it has read of {cluster} is not known: {held.unreadable if held else 'no state'}"
        raise Terminal(message, mend="Let it make a checkpoint, then apply again.")
    begin = {topic: each.begin for topic, each in reach.items()}
    end = {topic: each.end for topic, each in reach.items()}
    mine = {topic: offsets for topic, offsets in held.offsets.items() if topic in reach}
    unread = total_lag(positions(mine, Reach(begin=begin, end=end)))
    if unread:
        message = (
            f"{plan.route}: {unread:,} events on the cluster {cluster} are not read yet, as of its newest checkpoint"
        )
        raise Terminal(message, mend=mend)


def check_gained(plan: RouterPlan, history: Sequence[Deployment]) -> None:
    """Make sure that what the route has read of a cluster before is not written a second time.

    A table tells where to go on, a search index takes the same document again; a topic does neither.

    Raises:
        Terminal: a route that writes a topic exactly once would read a cluster from its beginning again.
    """
    standby, before = plan.source.standby, newest_taken(history)
    is_new = standby is not None and (before is None or before.plan.source.standby != standby)
    exact = isinstance(plan.target, KafkaTarget) and plan.target.transaction_timeout_s is not None
    if is_new and exact and any(each.plan.source.standby == standby for each in history):
        message = f"{plan.route}: it has read {standby} before, and its positions there are not known any more"
        raise Terminal(message, mend="Give the cluster another name, or declare the route under another `name:`.")


def standby_start(gateways: Gateways, plan: RouterPlan) -> str | None:
    """Return where reading of the standby begins if the restored state does not know it: where the table ends.

    None stands for its beginning.
    """
    if plan.source.standby is None or not isinstance(plan.target, WarehouseTarget):
        return None
    landed = gateways.lake.next_offsets(plan.target.table, plan.source.standby_topics)
    return positions_text(landed) or None


def missing_topics(gateways: Gateways, plans: Sequence[tuple[RouterPlan, int]]) -> tuple[dict[str, list[str]], str]:
    """Return by route which of its topics on standby clusters are not there yet, and what could not be looked at.

    One look a cluster, however many routes. Each plan comes with the partitions that its topic would have.
    """
    wanted: dict[str, dict[str, list[str]]] = {}
    for plan, partitions in plans:
        if plan.source.standby:
            topics = topics_by_cluster(plan, partitions)[plan.source.standby]
            wanted.setdefault(plan.source.standby, {})[plan.route] = [*topics]
    found: dict[str, list[str]] = {}
    away = []
    for cluster, by_route in wanted.items():
        try:
            there = gateways.kafka.ends(sorted({topic for topics in by_route.values() for topic in topics}))
        except KeystoneError as error:
            away.append(f"the topics on {cluster} could not be looked at: {error}")
            continue
        found |= {
            route: gone
            for route, topics in by_route.items()
            if (gone := [topic for topic in topics if topic not in there])
        }
    return found, "; ".join(away)


def make_missing(gateways: Gateways, plans: Sequence[tuple[RouterPlan, int]], tell: Callable[[str, str], None]) -> None:
    """Make the topics on standby clusters that an apply could not make while those were away. Raises nothing."""
    missing, away = missing_topics(gateways, plans)
    for plan, partitions in plans:
        if plan.source.standby and away:
            tell(plan.route, away)
        if plan.route not in missing or plan.source.standby is None:
            continue
        try:
            for name, (count, config) in topics_by_cluster(plan, partitions)[plan.source.standby].items():
                if name in missing[plan.route]:
                    gateways.kafka.ensure_topic(name, count, config)
        except (Transient, UnknownOutcome, Terminal) as error:
            tell(plan.route, f"a topic on {plan.source.standby} could not be made: {error}")
