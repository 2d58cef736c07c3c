"""Plans of each kind, as small as a kind can be shown."""

from __future__ import annotations

from keystone_platform.plan.router_plan import (
    Filter,
    KafkaTarget,
    OutputColumn,
    RouterPlan,
    SearchTarget,
    Source,
    WarehouseTarget,
)
from keystone_platform.plan.submission import Connection, KafkaServers, Submission
from keystone_platform.settings import RegistrySettings, SearchSettings
from keystone_platform.spec.types import Field, Scalar, Struct

DEVICE = Struct((Field("type", Scalar.STRING), Field("os", Scalar.STRING)))

CONNECTION = Connection(
    bootstrap_servers="broker:9092",
    clusters=(
        KafkaServers(name="primary", bootstrap_servers="broker:9092"),
        KafkaServers(name="kafka-b", bootstrap_servers="other:9092", properties={"security.protocol": "SSL"}),
    ),
    catalog={"type": "sql", "uri": "sqlite:////data/catalog.db", "warehouse": "s3://bucket/warehouse"},
    s3_endpoint="http://s3:9000",
    s3_region="us-east-1",
    s3_path_style=True,
    search=SearchSettings(url="http://search:9200", username="keystone", password="env:SEARCH_PASSWORD"),
    registry=RegistrySettings(url="http://registry:8081", username="keystone", password="env:REGISTRY_PASSWORD"),
    python="/opt/keystone/bin/python",
)


def condition(sql: str | None) -> Filter | None:
    return Filter(text=sql, flink=sql, duckdb=sql) if sql else None


def warehouse(sql: str | None = "`duration_ms` > 1000", *, columns: int = 3, parallelism: int = 1) -> RouterPlan:
    selected = (
        OutputColumn(name="user_id", path=("user_id",), type=Scalar.BIGINT),
        OutputColumn(name="device_type", path=("device", "type"), type=Scalar.STRING),
        OutputColumn(name="at", path=("at",), type=Scalar.TIMESTAMP),
    )
    source = (
        Field("user_id", Scalar.BIGINT),
        Field("device", DEVICE),
        Field("at", Scalar.TIMESTAMP),
        Field("duration_ms", Scalar.INT),
    )
    return RouterPlan(
        route="playback.warehouse",
        stream="playback",
        source=Source(topic="playback", columns=source, replay_topic="playback.replay.warehouse"),
        filter=condition(sql),
        columns=selected[:columns],
        target=WarehouseTarget(table="events.playback"),
        dead_letter_topic="playback.dlq",
        parallelism=parallelism,
        checkpoint_interval_s=10,
    )


def warehouse_avro() -> RouterPlan:
    plan = warehouse()
    source = plan.source.model_copy(update={"format": "avro", "null_on_type_error": ("user_id",)})
    return plan.model_copy(update={"source": source})


def on_two_clusters(plan: RouterPlan) -> RouterPlan:
    return plan.model_copy(update={"source": plan.source.model_copy(update={"standby": "kafka-b"})})


def warehouse_raw() -> RouterPlan:
    return warehouse(None).model_copy(update={"source": Source(topic="playback", raw=True), "columns": ()})


def kafka(sql: str | None = "`duration_ms` > 1000", *, parallelism: int = 1) -> RouterPlan:
    columns = (Field("duration_ms", Scalar.INT),) if sql else ()
    return RouterPlan(
        route="playback.kafka",
        stream="playback",
        source=Source(topic="playback", columns=columns, raw=not columns),
        filter=condition(sql),
        target=KafkaTarget(topic="playback.long"),
        dead_letter_topic="playback.dlq",
        parallelism=parallelism,
        checkpoint_interval_s=10,
    )


def kafka_projected(key: str = "device.type", timeout_s: int | None = 900) -> RouterPlan:
    plan = warehouse(columns=3)
    target = KafkaTarget(topic="playback.slim", key=key, transaction_timeout_s=timeout_s)
    return plan.model_copy(update={"route": "playback.kafka", "target": target})


def search(sql: str | None = "`duration_ms` > 1000", *, columns: int = 4, parallelism: int = 1) -> RouterPlan:
    plan = warehouse(sql, parallelism=parallelism)
    device = OutputColumn(name="device", path=("device",), type=DEVICE)
    return plan.model_copy(
        update={
            "route": "playback.search",
            "target": SearchTarget(index="playback-{date}"),
            "columns": (*plan.columns, device)[:columns],
        }
    )


def submission(plan: RouterPlan, restore_from: str | None = None) -> Submission:
    return Submission(
        plan=plan,
        epoch=1,
        job_id="0123456789abcdef" * 2,
        restore_from=restore_from,
        checkpoint_directory=f"s3://bucket/flink/checkpoints/{plan.route}",
        savepoint_directory=f"s3://bucket/flink/savepoints/{plan.route}",
    )
