"""Arrays, computed columns, constants and values that become null, through a real router into a real table."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from confluent_kafka import Producer

from assets.proof.prove import Task, prove_hour
from keystone_platform.audit.truth import audit_route
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.hour_proof import HourProof
from tests.e2e.platform import Platform

pytestmark = pytest.mark.stack

STREAM = "projected"
YAML = f"""
stream: {STREAM}
owner: team:tests
partitions: 1
schema:
  n: {{type: bigint, on_type_error: null}}
  name: string
  tags: array<string>
  scores: {{type: array<int>, on_type_error: null}}
  started_at: timestamp
  ended_at: timestamp
  device: {{type: string, os: string}}
routes:
  - sink: {{warehouse: {{table: tests.{STREAM}}}}}
    filter: "not contains(tags, 'test') or tags is null"
    select:
      - n
      - tags
      - scores
      - {{os: device.os}}
      - {{is_tv: "device.type = 'tv'"}}
      - {{title: "coalesce(upper(trim(name)), 'NONE')"}}
      - {{half: "round(n / 2, 1)"}}
      - {{next: "n + 1"}}
      - {{long: "ended_at - started_at > interval '5' minute"}}
      - {{day: "cast(started_at as date)"}}
      - {{source: "'player'"}}
      - {{version: 2}}
    checkpoint_interval_s: 3
"""

EVENTS = (
    {"n": 7, "name": " née ", "tags": ["a", None], "scores": [1, None], "device": {"type": "tv", "os": "x"}},
    {
        "n": "7",
        "tags": [],
        "scores": [1, "2"],
        "started_at": "2026-01-01T23:59:00Z",
        "ended_at": "2026-01-02T00:05:00Z",
    },
    {"n": 2**63 - 1, "tags": ["test", "b"]},
    {"n": 2**63 - 1, "name": "", "device": {"type": None}},
    {"n": 1, "tags": ["a", 5]},
    {"n": 1, "tags": None, "name": "😀" * 3, "started_at": "0001-01-01T00:00:00Z", "ended_at": "0001-01-01T00:01:00Z"},
)


def test_what_lands_is_what_the_expressions_say(platform: Platform) -> None:
    platform.declare(STREAM, YAML)
    verdict = platform.apply(f"{STREAM}.warehouse")
    assert verdict.ok, verdict.message
    producer = Producer({**platform.settings.kafka, "enable.idempotence": True})
    for event in EVENTS:
        producer.produce(STREAM, value=json.dumps(event).encode())
    assert producer.flush(60) == 0
    platform.wait_for_rows(STREAM, 4)
    columns = 'n, tags, scores, os, is_tv, title, half, next, long, CAST(day AS VARCHAR), source, version, "_offset"'
    assert platform.rows(STREAM, f'SELECT {columns} FROM t ORDER BY "_offset"') == [
        (7, ["a", None], [1, None], "x", True, "NéE", 3.5, 8, None, None, "player", 2, 0),
        (None, [], None, None, None, "NONE", None, None, True, "2026-01-01", "player", 2, 1),
        (2**63 - 1, None, None, None, None, "", 4611686018427387904.0, None, None, None, "player", 2, 3),
        (1, None, None, None, None, "😀😀😀", 0.5, 2, False, "0001-01-01", "player", 2, 5),
    ]
    truth = audit_route(platform.settings, platform.plan(f"{STREAM}.warehouse"))
    assert truth.is_exact, truth
    assert (truth.landed, truth.filtered, truth.dead) == (4, 1, 1)
    proofs = prove_all(platform)
    assert [(proof.findings, proof.examples) for proof in proofs] == [((), ())] * len(proofs)
    compared = [proof.compared for proof in proofs]
    assert sum(each.landed for each in compared) == 4
    assert [each.checksum_rows for each in compared] == [each.checksum_events for each in compared]


def prove_all(platform: Platform) -> list[HourProof]:
    """Prove each hour that has rows: their values are Flink's, the expected ones are not."""
    plan, now = platform.plan(f"{STREAM}.warehouse"), datetime.now(UTC)
    hours = [total.hour for total in IcebergLake(platform.settings).hours(f"tests.{STREAM}")]
    return [prove_hour(platform.settings, Task(plan, hour, whole=True), now) for hour in hours if hour]
