"""What a tick of the landing sensor costs for many tables that all have news: local files, a real Kafka broker."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
from confluent_kafka import Producer

from assets.landed import landing_sensor
from assets.resource import WarehouseResource
from assets.routes import warehouse_routes
from bench.warehouse_tables import add, new_table, small_files
from keystone_platform.plan.plan_router import plan_fleet
from keystone_platform.spec.loader import load_streams
from keystone_platform.stack.embedded import EmbeddedStack
from tests.contract.lake_tables import TEN, local_settings

STREAM = """
stream: {name}
owner: team:bench
schema: {{user_id: bigint}}
routes:
  - sink: {{warehouse: {{table: events.{name}}}}}
"""


def tick_seconds(folder: Path, tables: int) -> float:
    """Return the seconds of the first tick over so many tables of two files each; what it reports is not stored."""
    stack = EmbeddedStack(folder / "stack", streams=folder / "streams", usual_ports=False)
    try:
        kafka = stack.up(without=("s3", "flink", "dagster")).settings.kafka
        return _tick_seconds(folder, tables, kafka)
    finally:
        stack.down()


def _tick_seconds(folder: Path, tables: int, kafka: dict[str, str]) -> float:
    streams = folder / "streams"
    streams.mkdir()
    names = [f"bench{number:03d}" for number in range(tables)]
    made: list[Path] = []
    for name in names:
        (streams / f"{name}.yaml").write_text(STREAM.format(name=name))
        _, table = new_table(folder / "lake", f"events.{name}")
        made = made or small_files(table, folder / "small", 2, rows=100)
        add(table, made)
    producer = Producer(kafka)
    for name in names:
        producer.produce(name, b"{}", timestamp=int(TEN.timestamp() * 1000))
    assert producer.flush(60) == 0
    settings = folder / "settings.json"
    settings.write_text(local_settings(folder / "lake").model_copy(update={"kafka": kafka}).model_dump_json())
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
