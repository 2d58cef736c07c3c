"""The jobs that the router's benchmark compares: the platform's route, and Flink SQL as an expert writes it by hand.

All of them read the topic from its beginning to where it ends now and then finish, so that a pass is a fixed amount of
work whose last row is committed.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Literal

from bench.router_events import Events, hundred_columns, nine_columns
from flink_jobs import sql
from flink_jobs.catalog import catalog_options
from flink_jobs.statements import Program, router_program
from keystone_platform.plan.plan_router import plan_router
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.plan.submission import Connection, Submission
from keystone_platform.spec.models import StreamSpec

Engine = Literal["keystone", "bare", "consume"]
ENGINES: tuple[Engine, ...] = ("keystone", "bare", "consume")

INTERVAL_S = 3

_CARRY = "'scan.carry' = "

_NINE = {
    "user_id": "bigint",
    "session_id": "string",
    "country": "string",
    "device": "string",
    "duration_ms": "bigint",
    "bitrate": "double",
    "started_at": "timestamp",
    "url": "string",
    "message": "string",
}
_FOUR = {"field_10_id": "bigint", "field_41_name": "string", "field_72_score": "double", "field_96_name": "string"}

_FLINK_TYPES = {"bigint": "BIGINT", "string": "STRING", "double": "DOUBLE", "timestamp": "TIMESTAMP_LTZ(6)"}

_METADATA = """\
  `_headers` MAP<STRING, BYTES> METADATA FROM 'headers' VIRTUAL,
  `_time` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  `_topic` STRING METADATA FROM 'topic' VIRTUAL,
  `_partition` INT METADATA FROM 'partition' VIRTUAL,
  `_offset` BIGINT METADATA FROM 'offset' VIRTUAL"""

_METADATA_VALUES = """\
  DECODE(`_headers`['ce_id'], 'UTF-8'), CAST(`_time` AS TIMESTAMP_LTZ(6)),
  SPLIT_INDEX(DECODE(`_headers`['ce_source'], 'UTF-8'), '/', 0),
  SPLIT_INDEX(DECODE(`_headers`['ce_source'], 'UTF-8'), '/', 1),
  `_topic`, `_partition`, `_offset`"""


@dataclass(frozen=True)
class Shape:
    """One kind of work.

    Attributes:
        columns: the declared fields and their types; none for bytes that pass through.
        goal: least ratio of events per CPU-second, keystone to bare, that the platform promises.
    """

    name: str
    events: Events
    columns: dict[str, str]
    sink: Literal["warehouse", "kafka"]
    where: str | None
    goal: float


def shapes(scale: float) -> tuple[Shape, ...]:
    """Return the shapes, with `scale` times their usual number of events."""
    nine = Events("bench_nine", nine_columns, int(3_000_000 * scale))
    hundred = Events("bench_hundred", hundred_columns, int(2_000_000 * scale))
    return (
        Shape("9 of 9 columns", nine, _NINE, "warehouse", None, 1.3),
        Shape("4 of 100 columns", hundred, _FOUR, "warehouse", None, 2.0),
        Shape("raw to warehouse", nine, {}, "warehouse", None, 1.0),
        Shape("raw to kafka", nine, {}, "kafka", None, 1.0),
        Shape("filter keeps 1 %", nine, _NINE, "warehouse", "duration_ms > 220000 and country = 'US'", 1.0),
    )


def route_plan(shape: Shape, table: str) -> RouterPlan:
    """Return the platform's plan, into a table (or topic) of that name."""
    sink = {"warehouse": {"table": f"bench.{table}"}} if shape.sink == "warehouse" else {"kafka": {"topic": table}}
    route: dict[str, object] = {"sink": sink, "checkpoint_interval_s": INTERVAL_S, "parallelism": 1}
    if shape.where:
        route["filter"] = shape.where
    stream: dict[str, object] = {"stream": shape.events.topic, "owner": "team:bench", "routes": [route]}
    if shape.columns:
        stream["schema"] = shape.columns
    spec = StreamSpec.model_validate(stream)
    return plan_router(spec, spec.routes[0])


def keystone_job(plan: RouterPlan, connection: Connection, checkpoints: str) -> Program:
    """Return the platform's own program, bounded."""
    submission = Submission(
        plan=plan,
        epoch=1,
        job_id=uuid.uuid4().hex,
        restore_from=None,
        checkpoint_directory=checkpoints,
        savepoint_directory=checkpoints,
    )
    program = router_program(submission, connection)
    if not any(_CARRY in table for table in program.tables):
        message = "the router's source is not declared as this benchmark expects, so it would never end"
        raise ValueError(message)
    bounded = f"'scan.bounded' = 'true',\n  {_CARRY}"
    return replace(program, tables=tuple(table.replace(_CARRY, bounded) for table in program.tables))


def bare_job(shape: Shape, table: str, connection: Connection, checkpoints: str) -> Program:
    """Return what an expert writes by hand for the same rows, with the stock formats."""
    if shape.sink == "kafka":
        return Program(_options(checkpoints), _raw_tables(shape, connection, table), (_RAW_TO_KAFKA,))
    create = f"CREATE CATALOG `keystone` WITH (\n{sql.options(catalog_options(connection))}\n)"
    names = list(shape.columns) or ["_value"]
    declared = [f"  `{name}` {_FLINK_TYPES[kind]}," for name, kind in shape.columns.items()] or ["  `_value` BYTES,"]
    stock = {"format": "json", "json.timestamp-format.standard": "ISO-8601"} if shape.columns else {"format": "raw"}
    body = "\n".join(declared)
    source = f"CREATE TEMPORARY TABLE `source` (\n{body}\n{_METADATA}\n) WITH (\n{_source(shape, connection, stock)}\n)"
    values = ", ".join(f"`{name}`" for name in names)
    where = "\nWHERE `duration_ms` > 220000 AND `country` = 'US'" if shape.where else ""
    hint = f"/*+ OPTIONS('uid-suffix' = '{table}') */"
    insert = (
        f"INSERT INTO `keystone`.`bench`.`{table}` {hint}\nSELECT {values},\n{_METADATA_VALUES}\nFROM `source`{where}"
    )
    return Program(_options(checkpoints), (create, source), (insert,))


def consume_job(shape: Shape, connection: Connection, checkpoints: str) -> Program:
    """Return a job that reads the values as bytes and drops them: the limit of anything that reads this topic."""
    source = f"CREATE TEMPORARY TABLE `source` (`v` BYTES) WITH (\n{_source(shape, connection, {'format': 'raw'})}\n)"
    sink = "CREATE TEMPORARY TABLE `nothing` (`v` BYTES) WITH ('connector' = 'blackhole')"
    return Program(_options(checkpoints), (source, sink), ("INSERT INTO `nothing` SELECT `v` FROM `source`",))


_RAW_TO_KAFKA = "INSERT INTO `target` SELECT `k`, `v`, `h`, `t` FROM `source`"


def _raw_tables(shape: Shape, connection: Connection, topic: str) -> tuple[str, ...]:
    columns = """(`k` BYTES, `v` BYTES, `h` MAP<STRING, BYTES> METADATA FROM 'headers',
  `t` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp')"""
    raw = {"key.format": "raw", "key.fields": "k", "value.fields-include": "EXCEPT_KEY", "value.format": "raw"}
    sink = {
        "connector": "kafka",
        "topic": topic,
        "properties.bootstrap.servers": connection.bootstrap_servers,
        "properties.compression.type": "lz4",
        "properties.linger.ms": "20",
        "properties.batch.size": "262144",
        **raw,
    }
    return (
        f"CREATE TEMPORARY TABLE `source` {columns} WITH (\n{_source(shape, connection, raw)}\n)",
        f"CREATE TEMPORARY TABLE `target` {columns} WITH (\n{sql.options(sink)}\n)",
    )


def _source(shape: Shape, connection: Connection, stock: dict[str, str]) -> str:
    return sql.options(
        {
            "connector": "kafka",
            "topic": shape.events.topic,
            "properties.bootstrap.servers": connection.bootstrap_servers,
            "properties.group.id": f"bare.{shape.events.topic}",
            "properties.receive.buffer.bytes": str(1 << 20),
            "scan.startup.mode": "earliest-offset",
            "scan.bounded.mode": "latest-offset",
            **stock,
        }
    )


def _options(checkpoints: str) -> dict[str, str]:
    return {
        "execution.runtime-mode": "STREAMING",
        "parallelism.default": "1",
        "pipeline.name": "bare",
        "pipeline.object-reuse": "true",
        "table.local-time-zone": "UTC",
        "table.exec.uid.generation": "ALWAYS",
        "table.exec.iceberg.use-v2-sink": "true",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.interval": f"{INTERVAL_S} s",
        "execution.checkpointing.storage": "filesystem",
        "execution.checkpointing.dir": checkpoints,
    }
