"""The warehouse's code location: it loads without any server, and says what a stranger needs to see."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from assets import keys
from assets.compaction.compact import compact_hour
from assets.definitions import defs
from assets.due import compaction_sensor
from assets.resource import WarehouseResource
from assets.routes import warehouse_routes
from assets.upkeep.asset import UpkeepConfig, upkeep_asset
from assets.upkeep.declared import retention_of
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.objects import StoredObject
from keystone_platform.plan.declared_tables import load_declared_tables
from keystone_platform.plan.plan_router import plan_fleet
from keystone_platform.settings import SETTINGS_VARIABLE, STREAMS_VARIABLE
from keystone_platform.spec.loader import load_streams_leniently
from tests.contract.folder_store import FolderStore
from tests.contract.lake_tables import ELEVEN, TEN, lake_with_table, land, local_settings, warehouse_plan
from tests.control.fake_servers import FakeKafka

STREAM = """
stream: playback
owner: team:player
schema: {user_id: bigint, device: {os: string}}
routes:
  - sink: {warehouse: {table: events.playback, keep_days: 30}}
    select: [user_id]
  - sink: {kafka: {topic: playback.copy}}
"""

LANDED = dg.AssetKey(["landed", "playback"])
COMPACTED = dg.AssetKey(["compacted", "playback"])
BACKFILLED = dg.AssetKey(["backfilled", "playback"])


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "playback.yaml").write_text(STREAM)
    (tmp_path / "streams" / "broken.yaml").write_text("stream: [")
    monkeypatch.setenv(STREAMS_VARIABLE, str(tmp_path / "streams"))
    monkeypatch.setenv(SETTINGS_VARIABLE, str(tmp_path / "settings.json"))
    return defs()


@pytest.fixture
def lake(location: dg.Definitions, tmp_path: Path) -> IcebergLake:
    (tmp_path / "settings.json").write_text(local_settings(tmp_path).model_dump_json())
    return lake_with_table(tmp_path)[0]


def test_it_loads_with_no_settings_and_no_server_and_a_broken_file_hides_nothing_else(location: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(location)
    specs = {spec.key: spec for spec in location.resolve_all_asset_specs()}
    assert {LANDED, COMPACTED, BACKFILLED} <= set(specs)
    landed = specs[LANDED]
    assert [dep.asset_key.path for dep in landed.deps] == [["router", "playback", "warehouse"]]
    assert landed.owners == ["team:player"]
    assert landed.kinds == {"iceberg", "parquet", "s3"}
    assert landed.metadata[keys.TABLE] == "events.playback"
    columns = [column.name for column in landed.metadata["dagster/column_schema"].columns]
    assert columns[:2] == ["user_id", "_guid"]
    assert "dagster/code_references" in landed.metadata


def test_sensors_run_by_default_and_are_few_for_the_whole_fleet(location: dg.Definitions) -> None:
    sensors = list(location.sensors or [])
    known = [
        "compaction_sensor",
        "dead_letter_sensor",
        "landing_sensor",
        "produced_sensor",
        "proof_sensor",
        "views_sensor",
    ]
    assert sorted(sensor.name for sensor in sensors) == known
    assert {sensor.default_status for sensor in sensors} == {dg.DefaultSensorStatus.RUNNING}


class Tomorrow:
    """A clock a day ahead: what was written just now has settled."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=1)

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


def evaluate(location: dg.Definitions, name: str, cursor: str | None = None) -> SensorExecutionData:
    return tick(location, location.resolve_sensor_def(name), cursor)


KAFKA = FakeKafka()
"""The topics' ends for all tests of this file; each sets what it needs."""


class WithKafka(WarehouseResource):
    """The real lake of the settings, and a Kafka cluster that needs no server."""

    def kafka(self) -> FakeKafka:
        return KAFKA


def tick(location: dg.Definitions, sensor: dg.SensorDefinition, cursor: str | None = None) -> SensorExecutionData:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"warehouse": WithKafka()}, definitions=location
        )
        return sensor.evaluate_tick(context)


def test_landed_rows_are_reported_once(location: dg.Definitions, lake: IcebergLake) -> None:
    land(lake.load("events.playback"), range(100), files=2)
    KAFKA.reachable, KAFKA.arrived = True, {"playback": {TEN: 300, TEN + timedelta(minutes=59): 100, ELEVEN: 7}}
    found = evaluate(location, "landing_sensor")
    (event,) = found.asset_events
    assert (event.asset_key, event.partition, event.metadata[keys.ROWS].value) == (LANDED, "2026-11-01-10:00", 100)
    assert (event.metadata[keys.TRAFFIC].value, event.metadata[keys.KEPT_RATIO].value) == (400, 0.25)
    assert event.metadata[keys.TABLE_ROWS].value == 100
    assert keys.LATE_ROWS not in event.metadata  # a first look can't tell
    assert evaluate(location, "landing_sensor", found.cursor).asset_events == []
    land(lake.load("events.playback"), range(100, 130))
    (event,) = evaluate(location, "landing_sensor", found.cursor).asset_events
    assert (event.metadata[keys.ROWS_ADDED].value, event.metadata[keys.LATE_ROWS].value) == (30, 30)


def test_hours_are_reported_without_their_traffic_when_kafka_is_away(
    location: dg.Definitions, lake: IcebergLake
) -> None:
    land(lake.load("events.playback"), range(100))
    KAFKA.reachable = False
    (event,) = evaluate(location, "landing_sensor").asset_events
    assert event.metadata[keys.ROWS].value == 100
    assert keys.TRAFFIC not in event.metadata


def test_landed_hours_are_held_to_the_freshness_that_their_stream_declares(
    location: dg.Definitions, tmp_path: Path
) -> None:
    (spec,) = (spec for spec in location.resolve_all_asset_specs() if spec.key == LANDED)
    assert spec.freshness_policy is None
    file = tmp_path / "streams" / "playback.yaml"
    file.write_text(f"fresh_within_s: 600\n{file.read_text().strip()}\n")
    (spec,) = (spec for spec in defs().resolve_all_asset_specs() if spec.key == LANDED)
    wanted = dg.FreshnessPolicy.time_window(fail_window=timedelta(seconds=600), warn_window=timedelta(seconds=300))
    assert spec.freshness_policy == wanted


def test_an_hour_waits_until_it_is_quiet_and_gets_one_run_then(
    location: dg.Definitions, lake: IcebergLake, tmp_path: Path
) -> None:
    table = lake.load("events.playback")
    for number in range(6):
        land(table, range(number * 10, number * 10 + 10))
    fresh = evaluate(location, "compaction_sensor")
    assert fresh.run_requests == []
    fleet = load_streams_leniently(tmp_path / "streams")
    later = compaction_sensor(warehouse_routes(fleet, plan_fleet(fleet)), clock=Tomorrow())
    asked = tick(location, later, fresh.cursor)
    (request,) = asked.run_requests
    assert (request.partition_key, request.asset_selection) == ("2026-11-01-10:00", [COMPACTED])
    compact_hour(lake, "events.playback", TEN)
    done = tick(location, later, asked.cursor)
    assert done.run_requests == []
    assert "2026-11-01T10" not in str(done.cursor)


def test_servers_that_do_not_answer_fail_no_sensor(location: dg.Definitions, tmp_path: Path) -> None:
    settings = local_settings(tmp_path)
    dead = settings.model_copy(update={"catalog": {**settings.catalog, "uri": "sqlite:////nowhere/catalog.db"}})
    (tmp_path / "settings.json").write_text(dead.model_dump_json())
    found = evaluate(location, "landing_sensor", '{"tables": {}, "next": "events.playback"}')
    assert "does not answer" in str(found.skip_message)
    assert evaluate(location, "compaction_sensor").run_requests == []
    assert "does not answer" in str(evaluate(location, "views_sensor").skip_message)


def upkeep(*tasks: str) -> dg.ExecuteInProcessResult:
    declared = load_declared_tables(Path(os.environ[STREAMS_VARIABLE]))
    return dg.materialize(
        [upkeep_asset(retention_of(declared.values()))],
        resources={"warehouse": FolderWarehouse()},
        run_config=dg.RunConfig(ops={"upkeep": UpkeepConfig(tasks=list(tasks))}),
        raise_on_error=False,
    )


class FolderWarehouse(WarehouseResource):
    """The warehouse of a folder."""

    def objects(self) -> FolderStore:  # type: ignore[override]
        return StoreWithoutOne()


class StoreWithoutOne(FolderStore):
    """Lists nothing of one table."""

    def walk(self, prefix: str) -> Iterator[StoredObject]:
        return iter(()) if "a_broken_one" in prefix else super().walk(prefix)


def test_upkeep_of_all_tables_tells_what_went_and_a_table_that_fails_keeps_no_other_from_it(
    lake: IcebergLake,
) -> None:
    land(lake.load("events.playback"), range(10), hour=TEN - timedelta(days=40))
    done = upkeep("retention", "snapshots")
    (told,) = done.asset_materializations_for_node("upkeep")
    assert told.metadata["keystone/removed_rows"].value == 10  # keep_days of the YAML
    assert told.metadata[keys.TABLES].value == 1
    lake.ensure_table(warehouse_plan(table="events.a_broken_one"))
    land(lake.load("events.a_broken_one"), range(10))
    land(lake.load("events.playback"), range(5), hour=TEN - timedelta(days=40))
    failed = upkeep("retention", "orphans")
    assert not failed.success
    (observed,) = [event.asset_observation_data.asset_observation for event in failed.get_asset_observation_events()]
    assert observed.metadata[keys.FAILED_TABLES].value == 1
    assert observed.metadata["keystone/removed_rows"].value == 5


def test_upkeep_has_its_schedules(location: dg.Definitions) -> None:
    schedules = {schedule.name: schedule for schedule in location.schedules or []}
    assert set(schedules) == {"upkeep_hourly", "upkeep_daily"}
    assert {each.default_status for each in schedules.values()} == {dg.DefaultScheduleStatus.RUNNING}
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 11, 28, tzinfo=UTC))
    (request,) = schedules["upkeep_hourly"].evaluate_tick(context).run_requests or ()
    assert request.run_config["ops"]["upkeep"]["config"]["tasks"] == ["retention", "snapshots"]


def test_partitions_and_hours_agree(location: dg.Definitions) -> None:
    spec = next(spec for spec in location.resolve_all_asset_specs() if spec.key == COMPACTED)
    assert isinstance(spec.partitions_def, dg.HourlyPartitionsDefinition)
    assert spec.partitions_def.time_window_for_partition_key("2026-11-01-10:00").start == TEN
