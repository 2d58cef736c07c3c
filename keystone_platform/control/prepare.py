"""Makes what a router needs around it, since the router itself runs no DDL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from keystone_platform.control.gateways import Gateways
from keystone_platform.envelope import AUDIT_TOPIC
from keystone_platform.errors import InvalidSpec, KeystoneError, Transient, UnknownOutcome
from keystone_platform.gateways.kafka import ANY_TIMESTAMP, MAX_MESSAGE_BYTES
from keystone_platform.plan.deployment import newest_taken
from keystone_platform.plan.router_plan import KafkaTarget, RouterPlan, SearchTarget, WarehouseTarget
from keystone_platform.spec.clusters import PRIMARY, standby_topic

Topic = tuple[int, Mapping[str, str] | None]
"""Partitions and configuration of a topic that is to be made."""

DEAD_LETTER_PARTITIONS = 1
"""Dead letters are few, and one partition keeps them in order."""

DEAD_LETTER_MAX_BYTES = MAX_MESSAGE_BYTES + 512 * 1024
"""A dead letter is its event and what says why: what the source topic takes must fit here too."""

_FOREVER = "-1"

REPLAY_TOPIC: Mapping[str, str] = MappingProxyType(
    {
        "max.message.bytes": str(DEAD_LETTER_MAX_BYTES),
        # a record's time is its event's: Kafka would delete an old event before the router has read it. What is in here
        # is also how one knows what was replayed
        "retention.ms": _FOREVER,
        "retention.bytes": _FOREVER,
        **ANY_TIMESTAMP,
    }
)
"""Configuration of a replay topic."""

DEAD_LETTER_TOPIC: Mapping[str, str] = MappingProxyType({**REPLAY_TOPIC, "retention.bytes": str(10 * 1024**3)})
"""Configuration of a dead letters' topic: bounded by size, for the same reason."""


AUDIT_PARTITIONS = 1
"""A producer writes an audit event a minute; one partition keeps them in order."""

AUDIT_TOPIC_SETTINGS: Mapping[str, str] = MappingProxyType(
    # the brokers' time: it tells a producer whose clock is wrong, and a wrong clock must not make Kafka delete it
    {"message.timestamp.type": "LogAppendTime", "retention.ms": str(14 * 24 * 3600 * 1000)}
)
"""Configuration of the topic in which producers say what they counted."""


def prepare(
    gateways: Gateways,
    plan: RouterPlan,
    partitions: int,
    *,
    is_rollback: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Make sure that topics, table and index template are there.

    Of a stream that lives on two clusters one may be away: that is told, and its topics are left to the next apply.

    What exists is left, but for the table's columns and the route's own template. A plan that ran before finds its
    columns by the names that they had then; what it said of renaming and dropping was done in its day.

    Raises:
        InvalidSpec: the table can't take the plan's columns, see `check_dropped`, `check_topic`.
        Transient, Terminal: Kafka, the catalog, S3 or the search cluster does not answer or refuses.
    """
    ensure_topics(gateways, plan, partitions, tell)
    match plan.target:
        case WarehouseTarget() as target if is_rollback:
            as_it_was = target.model_copy(update={"renamed": None, "dropped": None})
            gateways.lake.ensure_table(plan.model_copy(update={"target": as_it_was}))
        case WarehouseTarget():
            check_dropped(gateways, plan)
            gateways.lake.ensure_table(plan)
        case KafkaTarget(topic=topic):
            check_topic(gateways, plan)
            gateways.kafka.ensure_topic(topic, partitions, ANY_TIMESTAMP)
        case SearchTarget():
            gateways.search.ensure_template(plan)


def ensure_topics(
    gateways: Gateways, plan: RouterPlan, partitions: int, tell: Callable[[str], None] = lambda _: None
) -> None:
    """Make the topics that the route reads, and those of its dead letters, on each of the stream's clusters.

    Raises:
        Transient, UnknownOutcome: no cluster of the stream answers.
        Terminal: one refuses.
    """
    away: list[KeystoneError] = []
    by_cluster = topics_by_cluster(plan, partitions)
    for cluster, topics in by_cluster.items():
        try:
            for name, (count, config) in topics.items():
                gateways.kafka.ensure_topic(name, count, config)
        except (Transient, UnknownOutcome) as error:
            away.append(error)
            if len(away) == len(by_cluster):
                raise away[0] from error
            tell(f"the topics on {cluster} could not be looked at, the next apply makes them: {error}")


def topics_by_cluster(plan: RouterPlan, partitions: int) -> Mapping[str, Mapping[str, Topic]]:
    """Return by cluster the topics that the route needs, by name: how many partitions, and the configuration if any."""
    wanted: dict[str, Topic] = {
        plan.source.topic: (partitions, None),
        AUDIT_TOPIC: (AUDIT_PARTITIONS, AUDIT_TOPIC_SETTINGS),
    }
    if not plan.source.raw:
        wanted[plan.dead_letter_topic] = (DEAD_LETTER_PARTITIONS, DEAD_LETTER_TOPIC)
    if plan.source.replay_topic:
        wanted[plan.source.replay_topic] = (DEAD_LETTER_PARTITIONS, REPLAY_TOPIC)
    found: dict[str, Mapping[str, Topic]] = {plan.source.cluster or PRIMARY: wanted}
    standby = plan.source.standby
    if standby:
        found[standby] = {standby_topic(standby, name): topic for name, topic in wanted.items()}
    return found


def check_dropped(gateways: Gateways, plan: RouterPlan) -> None:
    """Make sure that no column goes that the plan before wrote: a rollback would find its values gone.

    Raises:
        InvalidSpec: it did.
        Transient: the ledger does not answer.
    """
    dropped = (isinstance(plan.target, WarehouseTarget) and plan.target.dropped) or ()
    before = newest_taken(gateways.ledger.history(plan.route)) if dropped else None
    written = {column.name for column in before.plan.columns} if before else set()
    still = [name for name in dropped if name in written]
    if before and still:
        writes = f"the plan of epoch {before.epoch}, the newest, writes {', '.join(still)}"
        message = f"{plan.route}: {writes}: a rollback would find the values gone"
        mend = "Apply once without it in `select` and in `dropped`; when that runs well, list it in `dropped`."
        raise InvalidSpec(message, field="sink.warehouse.dropped", mend=mend)


def check_topic(gateways: Gateways, plan: RouterPlan) -> None:
    """Make sure that a target topic will take what the router sends; touches nothing.

    A record that the brokers refuse would stop the router at that event, again and again.

    Raises:
        InvalidSpec: the topic takes smaller records than the source topic, or the brokers grant shorter transactions.
        Transient, Terminal: Kafka does not answer or refuses.
    """
    target = plan.target
    if not isinstance(target, KafkaTarget):
        return
    taken, sent = gateways.kafka.largest_record(target.topic), gateways.kafka.largest_record(plan.source.topic)
    if taken is not None and sent is not None and taken < sent:
        source = f"its source {plan.source.topic} of {sent}"
        message = f"{plan.route}: topic {target.topic} takes records of {taken} bytes, {source}"
        raise InvalidSpec(message, mend=f"Set `max.message.bytes` of {target.topic} to {sent} or more.")
    if target.transaction_timeout_s is None:
        return
    granted = gateways.kafka.largest_transaction_timeout_s()
    if target.transaction_timeout_s > granted:
        wanted = f"transactions of {target.transaction_timeout_s} s"
        message = f"{plan.route}: {wanted} are wanted, the brokers grant {granted:.0f} s"
        mend = "Raise the brokers' `transaction.max.timeout.ms`, or lower `transaction_timeout_s` in the YAML."
        raise InvalidSpec(message, mend=mend)
