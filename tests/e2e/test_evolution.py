"""A column is added, one renamed and one widened while a real router runs: each row once, old rows under new names."""

from __future__ import annotations

import json

import pytest
from confluent_kafka import Producer

from keystone_platform.control.prepare import prepare
from tests.e2e.platform import Platform

pytestmark = pytest.mark.stack

STREAM = "evolved"
ROUTE = f"{STREAM}.warehouse"


def yaml(n: str, select: str, renamed: str = "") -> str:
    return (
        f"stream: {STREAM}\nowner: team:tests\npartitions: 1\nschema: {{n: {n}, kind: string, country: string}}\n"
        f"routes:\n  - sink: {{warehouse: {{table: tests.{STREAM}{renamed}}}}}\n"
        f"    select: {select}\n    checkpoint_interval_s: 3\n"
    )


BEFORE = yaml("int", "[n, {type: kind}]")
AFTER = yaml("bigint", "[n, {form: kind}, country]", ", renamed: {form: type}")


def produce(platform: Platform, *numbers: int) -> None:
    producer = Producer({**platform.settings.kafka, "enable.idempotence": True})
    for n in numbers:
        producer.produce(STREAM, value=json.dumps({"n": n, "kind": f"k{n % 10}", "country": "US"}).encode())
    assert producer.flush(60) == 0


def test_a_table_evolves_under_a_router_and_no_row_is_lost_or_split(platform: Platform) -> None:
    platform.declare(STREAM, BEFORE)
    verdict = platform.apply(ROUTE)
    assert verdict.ok, verdict.message
    produce(platform, 1, 2)
    platform.wait_for_rows(STREAM, 2)
    platform.declare(STREAM, AFTER)
    prepare(platform.gateways, platform.plan(ROUTE), 1)  # as an apply does that dies before it stops the old router
    produce(platform, 3)
    platform.wait_for_rows(STREAM, 3)  # the old router commits files by the old schema
    produce(platform, 4)
    verdict = platform.apply(ROUTE)
    assert verdict.ok, verdict.message
    produce(platform, 2**40)
    platform.wait_for_rows(STREAM, 5)
    rows = platform.rows(STREAM, 'SELECT n, form, country, "_offset" FROM t ORDER BY "_offset"')
    assert rows[:3] == [(1, "k1", None, 0), (2, "k2", None, 1), (3, "k3", None, 2)]
    assert (rows[3][:2], rows[3][3]) == ((4, "k4"), 3)  # either router landed it
    assert rows[4:] == [(2**40, f"k{2**40 % 10}", "US", 4)]
    columns = platform.rows(
        STREAM, "SELECT column_name FROM (DESCRIBE FROM t) WHERE column_name[1] <> '_' ORDER BY ALL"
    )
    assert columns == [("country",), ("form",), ("n",)]
