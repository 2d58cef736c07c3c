"""From poison to a mended route: letters, replay, landed letters, and a router that is paused, on the real stack."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from assets.dead_letters.land import land
from keystone_platform import envelope
from keystone_platform.audit.truth import audit_route
from keystone_platform.cli import app
from keystone_platform.control.goals import wanted
from keystone_platform.control.reconcile import reconcile
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.deployment import Deployment, End
from tests.e2e.platform import Platform, wait_for

pytestmark = pytest.mark.stack

STREAM = "mended"
EVENTS, POISON_EVERY = 200, 10
DEAD = EVENTS // POISON_EVERY

MENDED_YAML = """\
stream: mended
owner: team:tests
partitions: 2
schema: {{n: {type}, country: string}}
routes:
  - sink: {{warehouse: {{table: tests.mended}}}}
    select: [{column}, country]
    checkpoint_interval_s: 2
  - name: countries
    sink: {{warehouse: {{table: tests.mended_countries}}}}
    select: [country]
    checkpoint_interval_s: 2
"""
"""Its second route decodes no `n` and takes every event."""


def produce(platform: Platform, stream: str, numbers: Iterable[int], poison_every: int) -> None:
    """Send events, some of them with a text where a number is declared."""
    producer = Producer(platform.settings.kafka)
    for number in numbers:
        n = f"number {number}" if number % poison_every == 0 else number
        headers = {envelope.CE_ID: str(uuid.uuid4()), "mine": b"kept"}
        producer.produce(stream, json.dumps({"n": n, "country": "US"}), f"key {number}", headers=headers)
    assert producer.flush(60) == 0


def keystone(*arguments: str) -> Any:
    """Run a command and return the JSON that it prints."""
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_letters_are_replayed_to_their_route_once_after_the_fix_and_its_sibling_sees_nothing(
    platform: Platform,
) -> None:
    routes = [f"{STREAM}.warehouse", f"{STREAM}.countries"]
    platform.declare(STREAM, MENDED_YAML.format(type="bigint", column="n"))
    for verdict in reconcile(platform.gateways, wanted(platform.streams, routes).goals):
        assert verdict.ok, verdict.message
    produce(platform, STREAM, range(EVENTS), POISON_EVERY)
    platform.wait_for_rows(STREAM, EVENTS - DEAD)
    platform.wait_for_rows(f"{STREAM}_countries", EVENTS)

    told = wait_for("every letter", lambda: found if (found := shown())["letters"] >= DEAD else None, 60)
    assert [(each["route"], each["code"], each["letters"]) for each in told["reasons"]] == [
        (f"{STREAM}.warehouse", "wrong_type", DEAD)
    ]
    assert told["reasons"][0]["share"] == DEAD / EVENTS
    letter = told["newest"][0]
    assert json.loads(letter["payload"])["n"].startswith("number ")
    assert letter["key"].startswith("key ")
    assert (letter["headers"]["mine"], letter["text"]) == ("kept", "n: expected bigint, got string")

    early = keystone("dlq", "replay", STREAM)
    assert (early["sent"], early["routes"][0]["unchanged"]) == (0, DEAD), "the plan that killed them still runs"

    mended = MENDED_YAML.format(type="string", column="{n_text: n}")
    platform.declare(STREAM, mended)
    assert "`compatibility: none`" in platform.apply(f"{STREAM}.warehouse").message, "the good events have numbers"
    platform.declare(STREAM, f"{mended}compatibility: none\n")
    verdict = platform.apply(f"{STREAM}.warehouse")
    assert verdict.ok, verdict.message
    first, second = keystone("dlq", "replay", STREAM, "--wait"), keystone("dlq", "replay", STREAM)
    (counts,) = first["routes"]
    assert (counts["sent"], counts["landed"], counts["dead_again"], counts["missing"]) == (DEAD, DEAD, 0, 0)
    assert (second["sent"], second["routes"][0]["repeated"]) == (0, DEAD)

    found = platform.rows(STREAM, "SELECT count(*), count(DISTINCT _guid), count(n_text) FROM t")
    assert found == [(EVENTS, EVENTS, DEAD)]
    truth = audit_route(platform.settings, platform.plan(f"{STREAM}.warehouse"))
    assert (truth.lost, truth.duplicated) == (0, 0)
    assert audit_route(platform.settings, platform.plan(f"{STREAM}.countries")).is_exact
    assert platform.rows(f"{STREAM}_countries", "SELECT count(*) FROM t") == [(EVENTS,)]


def shown() -> Any:
    return keystone("dlq", "show", STREAM)


def test_landed_letters_are_a_table_like_any_other(platform: Platform) -> None:
    lake = IcebergLake(platform.settings)
    for _ in range(2):  # the sensor may have landed them already
        land(lake, platform.gateways.kafka, platform.settings.kafka, STREAM, f"{STREAM}.dlq")
    assert f"dead_letters.{STREAM}" in [each["table"] for each in keystone("tables")]
    query = f"SELECT code, count(*) AS n, min(decode(payload)) AS first FROM dead_letters.{STREAM} GROUP BY code"
    (row,) = keystone("sql", query)
    assert (row["code"], row["n"]) == ("wrong_type", DEAD)
    assert "number " in row["first"]


def test_a_router_whose_events_die_is_paused_says_why_and_goes_on_when_applied(platform: Platform) -> None:
    verdict = platform.apply("paused.warehouse")
    assert verdict.ok, verdict.message
    produce(platform, "paused", range(300), poison_every=3)

    def paused() -> Deployment | None:
        latest = platform.latest("paused.warehouse")
        return latest if latest.end is End.PAUSED else None

    last = wait_for("the sensor has the router paused", paused, 180)
    assert "events died" in last.note
    assert last.savepoint is not None
    produce(platform, "paused", range(301, 303), poison_every=1_000)
    verdict = platform.apply("paused.warehouse")
    assert verdict.ok, verdict.message
    assert verdict.deployment is not None
    assert verdict.deployment.restore_from == last.savepoint
    assert platform.wait_for_rows("paused", 202).distinct == 202

    def letters() -> bool:
        tables = platform.gateways.lake.tables()
        return "dead_letters.paused" in tables and keystone("sql", "FROM dead_letters.paused SELECT count(*) AS n") == [
            {"n": 100}
        ]

    wait_for("the sensor has the dead letters landed", letters, 120)
