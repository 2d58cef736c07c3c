"""Made-up events, all the way into a table, and what must be there told by seed and count."""

from __future__ import annotations

import json
from itertools import islice

import pytest
from typer.testing import CliRunner, Result

from keystone_platform.cli import app
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.producer import KeystoneProducer, Origin
from keystone_platform.spec.loader import load_streams_leniently
from keystone_platform.synthetic.events import Mix, synthetic_events
from keystone_platform.synthetic.landed import Check, check_table
from tests.e2e.platform import Platform, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.drill]

STREAM = "madeup"
COUNT = 6_000
YAML = f"""
stream: {STREAM}
owner: team:tests
partitions: 2
schema:
  user_id: bigint
  country: string
  device: {{type: string, os: string}}
  started_at: timestamp
  duration_ms: bigint
  bitrate_kbps: double
routes:
  - sink: {{warehouse: {{table: tests.{STREAM}}}}}
    filter: "duration_ms > 1000 and country in ('US', 'BR')"
    select: [user_id, country, {{kind: device.type}}, started_at, {{minutes: "duration_ms / 60000"}}, bitrate_kbps]
    checkpoint_interval_s: 3
"""
MIX = ["--seed", "11", "--count", str(COUNT), "--size", "900", "--max-size", "200000", "--broken", "0.01"]


def produce(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["produce", STREAM, "--synthetic", "--json", *arguments])


def is_kept(payload: bytes) -> bool:
    try:
        event = json.loads(payload)
    except ValueError:
        return False
    return isinstance(event, dict) and event.get("country") == "US" and (event.get("duration_ms") or 0) > 60_000


def test_what_landed_is_exactly_what_seed_and_count_say(platform: Platform) -> None:
    platform.declare(STREAM, YAML)
    verdict = platform.apply(f"{STREAM}.warehouse")
    assert verdict.ok, verdict.message
    sent = produce(*MIX)
    assert json.loads(sent.stdout)["acknowledged"] == COUNT, sent.stderr
    plan, mix = platform.plan(f"{STREAM}.warehouse"), Mix(11, 0.01, 0.2, 900, 200_000)
    spec = load_streams_leniently(platform.streams).stream(STREAM).spec

    def check(count: int = COUNT) -> Check:
        return check_table(platform.settings, plan, spec, mix, count)

    def complete() -> Check | None:
        if IcebergLake(platform.settings).head(f"tests.{STREAM}") is None:
            return None
        found = check()
        return None if found.missing else found

    found = wait_for("every event that the route keeps has landed", complete, 90)
    assert found.is_exact
    assert 1_000 < found.expected < 5_000
    told = produce(*MIX, "--expect")
    assert told.exit_code == 0, told.output
    assert [each["exact"] for each in json.loads(told.stdout)["checks"]] == [True, True]
    fewer = check(COUNT - 1_000)
    assert (fewer.missing, fewer.changed, fewer.extra) == (0, 0, found.expected - fewer.expected)
    kept = next(event for event in islice(synthetic_events(spec, mix), COUNT) if is_kept(event.payload))
    with KeystoneProducer(platform.settings.kafka, "tests") as producer:
        forged = kept.payload.replace(b'"country":"US"', b'"country":"BR"')
        producer.send_as(Origin(kept.guid), STREAM, forged)
    wait_for("the forged copy has landed", lambda: check().doubled or None, 60)
    after = check()
    assert (after.missing, after.extra, after.changed, after.doubled) == (0, 0, 1, 1)
