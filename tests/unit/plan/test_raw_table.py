"""Which tables a backfill may read in Kafka's stead."""

from __future__ import annotations

from typing import Any

import pytest

from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.plan_router import plan_router
from keystone_platform.plan.raw_table import refuse_unless_raw
from keystone_platform.plan.router_plan import Expression, RouterPlan
from keystone_platform.spec.models import StreamSpec


def planned(table: str, *, topic: str = "plays", raw: bool = False, schema: bool = True) -> RouterPlan:
    document: dict[str, Any] = {"stream": "plays", "owner": "team:a", "topic": topic}
    document["routes"] = [{"sink": {"warehouse": {"table": table, "raw": raw}}}]
    if schema:
        document["schema"] = {"user_id": "bigint"}
    stream = StreamSpec.model_validate(document)
    return plan_router(stream, stream.routes[0])


RAW = planned("raw.plays", raw=True)
TARGET = planned("events.plays")
DECLARED = {"events.plays": TARGET, "raw.plays": RAW}


def test_a_raw_table_of_the_topic_may_be_read() -> None:
    refuse_unless_raw("raw.plays", TARGET, DECLARED)
    refuse_unless_raw("raw.plays", TARGET, {"raw.plays": planned("raw.plays", schema=False)})


def test_one_that_is_declared_no_more_may_be_read() -> None:
    refuse_unless_raw("raw.plays", TARGET, {"events.plays": TARGET})


@pytest.mark.parametrize(
    ("table", "declared", "complaint"),
    [
        ("events.plays", DECLARED, "the table of plays.warehouse itself"),
        ("raw.clicks", {"raw.clicks": planned("raw.clicks", topic="clicks", raw=True)}, "the topic clicks"),
        ("events.other", {"events.other": planned("events.other")}, "no raw table"),
        (
            "raw.plays",
            {"raw.plays": RAW.model_copy(update={"filter": Expression(text="true", flink="TRUE", duckdb="true")})},
            "is filtered",
        ),
    ],
    ids=["its own", "another topic", "columns", "a filter"],
)
def test_one_that_can_not_hold_the_events_is_refused(
    table: str, declared: dict[str, RouterPlan], complaint: str
) -> None:
    with pytest.raises(InvalidSpec, match=complaint) as refused:
        refuse_unless_raw(table, TARGET, declared)
    assert refused.value.mend


def test_payloads_that_are_not_json_are_read_from_kafka_only() -> None:
    target = TARGET.model_copy(update={"source": TARGET.source.model_copy(update={"format": "avro"})})
    with pytest.raises(InvalidSpec, match="payloads of plays are avro"):
        refuse_unless_raw("raw.plays", target, DECLARED)
