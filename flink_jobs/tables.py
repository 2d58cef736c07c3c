"""The tables of a router in Flink's terms: the topic that is read, the topics that are written."""

from __future__ import annotations

from flink_jobs import sql
from flink_jobs.kafka_clients import client_properties
from keystone_platform.envelope import MAX_EVENT_BYTES, MAX_HEADERS_BYTES
from keystone_platform.errors import Terminal
from keystone_platform.plan.backfill import Scope
from keystone_platform.plan.router_plan import KafkaTarget, RouterPlan, Source, WarehouseTarget
from keystone_platform.plan.submission import Connection, KafkaServers
from keystone_platform.spec.clusters import standby_topic

# A payload's own field never begins with an underscore, so no name here collides with one.
SOURCE = "_source"
DEAD_LETTERS = "_dead_letters"
STANDBY_DEAD_LETTERS = "_standby_dead_letters"
TARGET = "_target"
REFUSED = "_refused"

KEY = "_key"
ERROR = "_error"
RAW = "_raw"
HEADERS = "_headers"
GUID = "_guid"
HOST = "_host"
APP = "_app"
TIME = "_time"
TOPIC = "_topic"
PARTITION = "_partition"
OFFSET = "_offset"

MEGABYTE = 1024 * 1024
_JSON = {"value.format": "json", "value.json.timestamp-format.standard": "ISO-8601"}
"""A JSON object of every column, nulls included."""

LARGEST_RECORD = 16 * MEGABYTE
"""Bytes of a produce request: an event of 10 MB, its headers and the dead letter's own."""


def source_table(
    plan: RouterPlan, connection: Connection, start_at: str | None = None, scope: Scope | None = None
) -> str:
    """Return the DDL of the topic, with no other columns than the route needs; of the scope's offsets only, if given.

    A plan that decodes nothing has no column of the payload; the table is else the same, so that the job's operators
    and their ids are the same for every plan and a savepoint of one restores into another.
    """
    columns = [
        *(f"{sql.identifier(field.name)} {sql.type_of(field.type)}" for field in plan.source.columns),
        _metadata(ERROR, "STRING", "error"),
        _metadata(KEY, "BYTES", "key"),
        _metadata(RAW, "BYTES", "raw"),
        _metadata(HEADERS, "MAP<STRING, BYTES>", "headers"),
        *([] if isinstance(plan.target, KafkaTarget) else _envelope()),
        _metadata(TIME, "TIMESTAMP_LTZ(3)", "timestamp"),
        _metadata(TOPIC, "STRING", "topic"),
        _metadata(PARTITION, "INT", "partition"),
        _metadata(OFFSET, "BIGINT", "offset"),
    ]
    group = f"keystone.{plan.route}" if scope is None else f"keystone.backfill.{plan.route}"
    options = {
        "connector": "keystone-kafka",
        "topic": ";".join(plan.source.primary_topics),
        **_consumer(connection.kafka(plan.source.cluster), group, plan.source),
        **_standby(plan.source, connection, group),
        "scan.topic-partition-discovery.interval": "30 s",
        "scan.carry": _carry(plan),
        "scan.max-event-bytes": str(MAX_EVENT_BYTES),
        "scan.max-headers-bytes": str(MAX_HEADERS_BYTES),
        **_decoding(plan, connection),
        **({} if start_at is None else {"scan.startup.offsets": start_at}),
        **({} if scope is None else {"scan.startup.offsets": scope.begins, "scan.bounded.offsets": scope.ends}),
    }
    return sql.create_table(SOURCE, columns, options)


def _consumer(servers: KafkaServers, group: str, source: Source) -> dict[str, str]:
    """Return a consumer's properties; `group` is for people who look at lag in Kafka: what counts is in checkpoints."""
    properties = {
        **client_properties(servers),
        "group.id": group,
        "isolation.level": "read_committed",
        # what is polled waits in memory: with ten times as many records of 4 KB a third of the CPU went to moving them
        "max.poll.records": "500",
        "receive.buffer.bytes": str(MEGABYTE),
        # else the client that looks for partitions writes 300 lines a second into the log while its cluster is away
        **({"metadata.recovery.strategy": "none"} if source.standby else {}),
    }
    return {f"properties.{key}": value for key, value in properties.items()}


def _standby(source: Source, connection: Connection, group: str) -> dict[str, str]:
    if source.standby is None:
        return {}
    consumer = _consumer(connection.kafka(source.standby), group, source)
    return {
        "standby.cluster": source.standby,
        "standby.topic": ";".join(source.standby_topics),
        **{f"standby.{key}": value for key, value in consumer.items()},
        # else the two sources' clients have the same ids, and a JVM registers only one of each
        "standby.properties.client.id.prefix": f"{group}.{source.standby}",
    }


def _envelope() -> list[str]:
    return [
        _metadata(GUID, "STRING", "event-id"),
        _metadata(HOST, "STRING", "host"),
        _metadata(APP, "STRING", "app"),
    ]


def _carry(plan: RouterPlan) -> str:
    """Return what the rows of good events carry of their records: maps and bytes that nobody reads cost as well."""
    if isinstance(plan.target, WarehouseTarget):
        return "payload" if plan.source.raw else "nothing"
    return "record"


def dead_letter_table(plan: RouterPlan, connection: Connection) -> str:
    """Return the DDL of the dead letters' topic."""
    servers = connection.kafka(plan.source.cluster)
    return _letters_table(DEAD_LETTERS, plan.dead_letter_topic, servers, plan.route)


def standby_dead_letter_table(plan: RouterPlan, cluster: str, connection: Connection) -> str:
    """Return the DDL of the dead letters' topic on the standby cluster.

    A letter stays on the cluster that its event came by: that one answers, whatever the other does.
    """
    topic = standby_topic(cluster, plan.dead_letter_topic)
    return _letters_table(STANDBY_DEAD_LETTERS, topic, connection.kafka(cluster), plan.route)


def _letters_table(name: str, topic: str, servers: KafkaServers, route: str) -> str:
    payload = [f"{sql.identifier(RAW)} BYTES"]
    options = {**_delivery(None, route), **_raw_key(), "value.format": "raw"}
    return _topic_table(name, topic, servers, payload, options)


def topic_target_table(plan: RouterPlan, target: KafkaTarget, connection: Connection) -> str:
    """Return the DDL of a consumer topic: its value is the payload's bytes, or a JSON object of the plan's columns."""
    payload = [f"{sql.identifier(item.name)} {sql.type_of(item.type)}" for item in plan.columns]
    encoding = _JSON if payload else {"value.format": "raw"}
    options = {**_delivery(target.transaction_timeout_s, plan.route), **_raw_key(), **encoding}
    servers = connection.default_kafka()
    return _topic_table(TARGET, target.topic, servers, payload or [f"{sql.identifier(RAW)} BYTES"], options)


def _topic_table(name: str, topic: str, servers: KafkaServers, payload: list[str], further: dict[str, str]) -> str:
    columns = [
        f"{sql.identifier(KEY)} BYTES",
        *payload,
        f"{sql.identifier(HEADERS)} MAP<STRING, BYTES> METADATA FROM 'headers'",
        f"{sql.identifier(TIME)} TIMESTAMP_LTZ(3) METADATA FROM 'timestamp'",
    ]
    options = {
        "connector": "kafka",
        "topic": topic,
        **{f"properties.{key}": value for key, value in client_properties(servers).items()},
        "properties.enable.idempotence": "true",
        "properties.acks": "all",
        "properties.compression.type": "lz4",
        "properties.linger.ms": "20",
        "properties.batch.size": str(256 * 1024),
        "properties.max.request.size": str(LARGEST_RECORD),
        **further,
    }
    return sql.create_table(name, columns, options)


def _delivery(transaction_timeout_s: int | None, route: str) -> dict[str, str]:
    if transaction_timeout_s is None:
        return {"sink.delivery-guarantee": "at-least-once"}
    return {
        "sink.delivery-guarantee": "exactly-once",
        # the same in every epoch, so that a start ends what the epoch before left open; the last sign ends the route's
        # name, since transactions are found by prefix and one route's name may begin with another's
        "sink.transactional-id-prefix": f"keystone/{route}/",
        # a few ids that are used again: the default makes an id a checkpoint, and brokers remember each for a week
        "sink.transaction-naming-strategy": "pooling",
        "properties.transaction.timeout.ms": str(transaction_timeout_s * 1000),
    }


def _decoding(plan: RouterPlan, connection: Connection) -> dict[str, str]:
    """Return how payloads are decoded; where the writers' schemas are, for formats that need them."""
    source = plan.source
    name = f"keystone-{source.format or 'json'}"
    options = {"null-on-type-error": ";".join(source.null_on_type_error)} if source.null_on_type_error else {}
    if source.format:
        options |= _registry(connection)
    return {"value.format": name, **{f"value.{name}.{key}": value for key, value in options.items()}}


def _registry(connection: Connection) -> dict[str, str]:
    registry = connection.registry
    if registry is None:
        message = "the settings name no schema registry, and the stream's format needs one"
        raise Terminal(message, mend="Add `registry` to the settings (docs/schemas.md).")
    values = {
        "url": registry.url,
        "username": registry.username,
        "password": registry.password,
        "ca-file": registry.ca_file,
    }
    return {f"registry.{key}": value for key, value in values.items() if value is not None}


def _metadata(name: str, kind: str, key: str) -> str:
    return f"{sql.identifier(name)} {kind} METADATA FROM {sql.text(key)} VIRTUAL"


def _raw_key() -> dict[str, str]:
    return {"key.format": "raw", "key.fields": KEY, "value.fields-include": "EXCEPT_KEY"}
