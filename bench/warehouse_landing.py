"""What a tick of the landing sensor costs for many tables that all have news; on local files."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg

from assets.landed import landing_sensor
from assets.resource import WarehouseResource
from assets.routes import warehouse_routes
from bench.warehouse_tables import add, new_table, small_files
from keystone_platform.plan.plan_router import plan_fleet
from keystone_platform.spec.loader import load_streams
from tests.contract.lake_tables import local_settings

STREAM = """
stream: {name}
owner: team:bench
schema: {{user_id: bigint}}
routes:
  - sink: {{warehouse: {{table: events.{name}}}}}
"""


def tick_seconds(folder: Path, tables: int) -> float:
    """Return the seconds of the first tick over so many tables of two files each; the events are not stored."""
    streams = folder / "streams"
    streams.mkdir()
    names = [f"bench{number:03d}" for number in range(tables)]
    made: list[Path] = []
    for name in names:
        (streams / f"{name}.yaml").write_text(STREAM.format(name=name))
        _, table = new_table(folder / "lake", f"events.{name}")
        made = made or small_files(table, folder / "small", 2, rows=100)
        add(table, made)
    settings = folder / "settings.json"
    settings.write_text(local_settings(folder / "lake").model_dump_json())
    fleet = load_streams(streams)
    sensor = landing_sensor(warehouse_routes(fleet, plan_fleet(fleet)))
    resource = WarehouseResource(settings_file=str(settings))
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, resources={"warehouse": resource})
        started = time.perf_counter()
        result = sensor.evaluate_tick(context)
        taken = time.perf_counter() - started
    assert len(result.asset_events) == tables, len(result.asset_events)
    return taken
