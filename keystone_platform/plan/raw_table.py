"""Which tables a backfill may read in Kafka's stead: those that hold each event of the topic as it came. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.router_plan import RAW_COLUMN, RouterPlan, WarehouseTarget


def refuse_unless_raw(table: str, plan: RouterPlan, declared: Mapping[str, RouterPlan]) -> None:
    """Refuse a table that the declarations show not to hold the events of the plan's topic.

    One that is declared no more may do: what it lacks, its rows tell.

    Args:
        table: `namespace.table`, to be read.
        plan: the route to be backfilled.
        declared: the plan of the route into each declared table.

    Raises:
        InvalidSpec: it is the route's own table, of another topic, filtered, or lands columns; or the payloads are not
            JSON.
    """
    if plan.source.format:
        message = f"payloads of {plan.stream} are {plan.source.format}, and from a table only JSON is decoded"
        raise InvalidSpec(message, mend="Backfill from Kafka, without --from-table.")
    if isinstance(plan.target, WarehouseTarget) and plan.target.table == table:
        message = f"{table} is the table of {plan.route} itself"
        raise InvalidSpec(message, mend="Its payloads would be replaced by columns: name another table to read from.")
    found = declared.get(table)
    if found is None:
        return
    topic = found.source.topic
    if topic != plan.source.topic:
        message = f"{table} holds events of the topic {topic}, and {plan.route} reads {plan.source.topic}"
        raise InvalidSpec(message, mend="Name a raw table of the same topic.")
    if found.filter is not None:
        message = f"{table} is filtered: what its route dropped can't be told from what never came"
        raise InvalidSpec(message, mend="Name a raw table without a filter, or backfill from Kafka.")
    if not found.source.raw:
        message = f"{table} is no raw table: its route lands columns, not payloads ({RAW_COLUMN})"
        raise InvalidSpec(message, mend="Name one that is declared `raw: true`, or of a stream without `schema`.")
