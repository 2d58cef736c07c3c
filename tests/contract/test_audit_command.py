"""`keystone audit` against a real broker and a real table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assets.proof.watermark import watermark_of
from keystone_platform.cli import app
from keystone_platform.errors import InvalidSpec, Transient
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.ledger import SqlLedger
from keystone_platform.gateways.proofs import SqlProofs
from keystone_platform.settings import SETTINGS_VARIABLE, STREAMS_VARIABLE
from tests.contract.lake_tables import ELEVEN, TEN
from tests.contract.proof_world import TABLE, World, new_world

pytestmark = pytest.mark.stack

STREAM = """
stream: proven
owner: team:tests
topic: {topic}
schema: {{user_id: bigint, country: string, tags: array<string>}}
routes:
  - sink: {{warehouse: {{table: {table}}}}}
    select: [user_id, country, tags]
"""


@pytest.fixture
def world(kafka_properties: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Ten events in each of two hours, all landed, but for the fifth; the environment names all of it."""
    world = new_world(kafka_properties, tmp_path, condition=None)
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    world.settings = world.settings.model_copy(update={"ledger_url": ledger})
    SqlLedger(ledger)
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "proven.yaml").write_text(STREAM.format(topic=world.topic, table=TABLE))
    (tmp_path / "settings.json").write_text(world.settings.model_dump_json())
    monkeypatch.setenv(SETTINGS_VARIABLE, str(tmp_path / "settings.json"))
    monkeypatch.setenv(STREAMS_VARIABLE, str(tmp_path / "streams"))
    places = [place for hour in (TEN, ELEVEN) for place in world.produce(10, at=hour)]
    world.land(place for place in places if place != (0, 4))
    return world


def test_it_says_what_is_wrong_fails_and_records_until_it_is_right(world: World) -> None:
    found = CliRunner().invoke(app, ["audit", TABLE])
    assert found.exit_code == 1
    assert "1 events have neither a row nor a dead letter" in found.stdout
    assert f"{world.topic}-0@4: missing" in found.stdout.replace("\n", "")
    assert "not proven" in found.stdout
    proofs = SqlProofs(world.settings.ledger_url).newest(TABLE, [TEN, ELEVEN])
    assert {hour: bool(proof.findings) for hour, proof in proofs.items()} == {TEN: True, ELEVEN: False}

    world.land([(0, 4)])
    again = CliRunner().invoke(app, ["audit", TABLE, "--hour", "2026-11-01T10", "--whole", "--json"])
    assert again.exit_code == 0, again.output
    answer = json.loads(again.stdout)
    (hour,) = answer["hours"]
    assert (hour["standing"], hour["compared"]["landed"], hour["identities"]["gaps"]) == ("holds", 10, 0)
    assert answer["proven_until"] == "2026-11-01T12:00:00+00:00"
    assert watermark_of(IcebergLake(world.settings).load(TABLE)).snapshot_id == answer["proven_snapshot_id"]


def test_only_the_hours_asked_for_are_read(world: World) -> None:
    found = CliRunner().invoke(app, ["audit", TABLE, "--since", "2026-11-01T11", "--json"])
    assert [hour["hour"] for hour in json.loads(found.stdout)["hours"]] == ["2026-11-01T11:00:00Z"]
    nothing = CliRunner().invoke(app, ["audit", TABLE, "--until", "2026-11-01T10"])
    assert (nothing.exit_code, "no hour to audit" in nothing.stdout) == (0, True)


def test_servers_that_are_gone_and_tables_that_nobody_declared_are_errors(world: World, tmp_path: Path) -> None:
    assert isinstance(CliRunner().invoke(app, ["audit", "events.nobody"]).exception, InvalidSpec)
    dead = world.settings.model_copy(update={"kafka": {"bootstrap.servers": "127.0.0.1:1"}})
    (tmp_path / "settings.json").write_text(dead.model_dump_json())
    assert isinstance(CliRunner().invoke(app, ["audit", TABLE]).exception, Transient)
