"""The proof in Dagster: the sensor asks for it, the run that compacts makes it, its checks say what it found."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest

from assets import keys
from assets.compacted import materialise
from assets.definitions import defs
from assets.proof.due import proof_sensor
from assets.proof.prover import Prover
from assets.proof.watermark import watermark_of
from assets.resource import WarehouseResource
from assets.routes import WarehouseRoute, warehouse_routes
from keystone_platform.errors import Transient
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.ledger import SqlLedger
from keystone_platform.gateways.objects import ObjectStore
from keystone_platform.plan.plan_router import plan_fleet
from keystone_platform.settings import SETTINGS_VARIABLE, STREAMS_VARIABLE
from keystone_platform.spec.loader import load_streams_leniently
from tests.contract.lake_tables import ELEVEN, TEN
from tests.contract.proof_world import TABLE, World, new_world
from tests.contract.test_audit_command import STREAM

pytestmark = pytest.mark.stack

LOG = logging.getLogger(__name__)
WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


class Disk:
    """The object store of a warehouse that is a folder."""

    def size(self, uri: str) -> int | None:
        path = Path(urlsplit(uri).path)
        return path.stat().st_size if path.is_file() else None

    def delete(self, uris: object) -> None:
        raise AssertionError(uris)


class Local(WarehouseResource):
    """The warehouse on this machine's disk."""

    def objects(self) -> ObjectStore:
        return Disk()  # type: ignore[return-value] # all that a run without a failure asks for


class Tomorrow:
    """A clock a day ahead."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=1)

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@pytest.fixture
def world(kafka_properties: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Ten events in each of two hours, all landed, but for the fifth; the environment names all of it."""
    world = new_world(kafka_properties, tmp_path, condition=None)
    world.settings = world.settings.model_copy(update={"ledger_url": f"sqlite:///{tmp_path}/ledger.db"})
    SqlLedger(world.settings.ledger_url)
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "proven.yaml").write_text(STREAM.format(topic=world.topic, table=TABLE))
    (tmp_path / "settings.json").write_text(world.settings.model_dump_json())
    monkeypatch.setenv(SETTINGS_VARIABLE, str(tmp_path / "settings.json"))
    monkeypatch.setenv(STREAMS_VARIABLE, str(tmp_path / "streams"))
    places = [place for hour in (TEN, ELEVEN) for place in world.produce(10, at=hour)]
    world.land(place for place in places if place != (0, 4))
    return world


@pytest.fixture
def route(world: World, tmp_path: Path) -> WarehouseRoute:
    fleet = load_streams_leniently(tmp_path / "streams")
    (route,) = warehouse_routes(fleet, plan_fleet(fleet))
    return route


def checks(route: WarehouseRoute, hour: datetime = TEN) -> dict[str, dg.AssetCheckResult]:
    result = materialise(Local(), route, hour, LOG)
    return {check.check_name or "": check for check in result.check_results}


def ask(route: WarehouseRoute, cursor: str | None = None) -> tuple[list[str | None], str | None]:
    sensor = proof_sensor([route], clock=Tomorrow())
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"warehouse": WarehouseResource()}, definitions=defs()
        )
        found = sensor.evaluate_tick(context)
    return [request.partition_key for request in found.run_requests or ()], found.cursor


def test_a_loss_is_an_error_with_its_numbers_until_the_row_is_there(world: World, route: WarehouseRoute) -> None:
    asked, cursor = ask(route)
    assert asked == ["2026-11-01-11:00", "2026-11-01-10:00"]
    found = checks(route)
    complete = found[keys.COMPLETE]
    assert (complete.passed, complete.severity) == (False, ERROR)
    assert "-0@4: missing" in str(complete.description)
    counts = (keys.ROWS, keys.GAPS, keys.EVENTS_READ, keys.EVENTS_LANDED, keys.EVENTS_MISSING)
    assert [complete.metadata[key].value for key in counts] == [9, 1, 10, 9, 1]
    assert found[keys.SCHEMA].passed
    assert found[keys.ACCOUNTED].passed
    assert "no KeystoneProducer" in str(found[keys.ACCOUNTED].description)
    assert checks(route, ELEVEN)[keys.COMPLETE].passed
    asked, cursor = ask(route, cursor)
    assert asked == []
    assert ask(route, cursor)[0] == []
    world.land([(0, 4)])
    assert ask(route, cursor)[0] == []  # with two small files it is the compaction sensor that asks, for the same run
    complete = checks(route)[keys.COMPLETE]
    assert complete.passed
    assert keys.PROVEN_UNTIL in complete.metadata
    assert watermark_of(IcebergLake(world.settings).load(TABLE)).until == ELEVEN + timedelta(hours=1)
    assert ask(route, cursor)[0] == []


def test_a_proof_that_can_not_be_made_is_a_warning_and_holds_up_no_compaction(
    world: World, route: WarehouseRoute, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object, **__: object) -> None:
        message = "Kafka does not answer"
        raise Transient(message)

    monkeypatch.setattr(Prover, "prove", silent)
    world.land(world.produce(2, at=TEN))
    before = IcebergLake(world.settings).hours(TABLE, {TEN})
    found = checks(route)
    assert (found[keys.COMPLETE].passed, found[keys.COMPLETE].severity) == (False, WARN)
    assert "Kafka does not answer" in str(found[keys.COMPLETE].description)
    assert keys.SCHEMA not in found
    after = IcebergLake(world.settings).hours(TABLE, {TEN})
    assert (before[0].files, after[0].files) == (2, 1)
    assert "2026-11-01-10:00" in ask(route)[0]


def test_what_expired_is_a_warning(world: World, route: WarehouseRoute) -> None:
    world.land([(0, 4)])
    world.expire(0, 5)
    complete = checks(route)[keys.COMPLETE]
    assert (complete.passed, complete.severity) == (False, WARN)
    assert "no longer has" in str(complete.description)
    assert complete.metadata[keys.EXPIRED_ROWS].value == 5
