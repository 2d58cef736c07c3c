"""Events in Avro and Protobuf with their schemas in a real registry, through real routers into real tables."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from confluent_kafka import Producer
from google.protobuf import message_factory

from assets.proof.prove import Task, prove_hour
from keystone_platform.audit.proto_schema import message_of
from keystone_platform.audit.truth import audit_route
from keystone_platform.control.goals import wanted
from keystone_platform.control.reconcile import reconcile
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.settings import RegistrySettings
from keystone_platform.wiring import connect
from tests.contract.catalog_servers import free_port
from tests.contract.registry_servers import register
from tests.drills.fault_proxy import Fault, FaultProxy
from tests.e2e.platform import Platform

pytestmark = pytest.mark.stack

YAML = """
stream: {stream}
owner: team:tests
partitions: 1
format: {format}
schema:
  n: bigint
  kind: string
  at: timestamp
  price: double
  tags: array<string>
  place: {{city: string}}
routes:
  - sink: {{warehouse: {{table: tests.{stream}}}}}
    filter: "n > 0"
    checkpoint_interval_s: 3
"""
WRITERS: tuple[list[dict[str, Any]], ...] = (
    [{"name": "n", "type": "int"}, {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A", "B"]}}],
    [
        {"name": "new", "type": {"type": "map", "values": "bytes"}},
        {"name": "n", "type": ["null", "long"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "tags", "type": {"type": "array", "items": ["null", "string"]}},
        {"name": "place", "type": {"type": "record", "name": "P", "fields": [{"name": "city", "type": "string"}]}},
    ],
    [{"name": "n", "type": "string"}],
)
PROTO = """syntax = "proto3";
package tests;
import "google/protobuf/timestamp.proto";
import "shared/place.proto";
message Event {
  enum Kind { A = 0; B = 1; }
  int32 n = 1;
  optional Kind kind = 2;
  google.protobuf.Timestamp at = 3;
  oneof cost { double price = 4; string free = 5; }
  repeated string tags = 6;
  shared.Place place = 7;
}
"""
PLACE = 'syntax = "proto3";\npackage shared;\nmessage Place { string city = 1; }\n'
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def proxy(registry_url: str) -> Iterator[FaultProxy]:
    proxy = FaultProxy(free_port(), int(registry_url.split(":")[2].split("/")[0]))
    yield proxy
    proxy.close()


@pytest.fixture
def formats(platform: Platform, registry_url: str, proxy: FaultProxy) -> Platform:
    """The platform with a registry in its settings, behind the proxy."""
    path = registry_url.split("/", 3)[3]
    settings = platform.settings.model_copy(
        update={"registry": RegistrySettings(url=f"http://127.0.0.1:{proxy.port}/{path}")}
    )
    return replace(platform, settings=settings, gateways=connect(settings))


def framed(schema_id: int, data: bytes) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + data


def avro(url: str, fields: list[dict[str, Any]], event: dict[str, Any]) -> bytes:
    schema = {"type": "record", "name": "Event", "fields": fields}
    written = io.BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(json.loads(json.dumps(schema))), event)
    return framed(register(url, "avroplays-value", json.dumps(schema)), written.getvalue())


def avro_events(url: str) -> list[bytes]:
    later = {
        "n": 2,
        "new": {"x": b"y"},
        "at": NOON,
        "price": Decimal("9.99"),
        "tags": ["a", None],
        "place": {"city": "X"},
    }
    good = [avro(url, WRITERS[0], {"n": 1, "kind": "B"}), avro(url, WRITERS[1], later)]
    dropped = avro(url, WRITERS[1], {**later, "n": None})
    dead = [avro(url, WRITERS[2], {"n": "1"}), good[0][:-1], framed(987_654, b"\2"), b'{"n":1}', b""]
    return [*good, dropped, *dead]


def protobuf_events(url: str) -> list[bytes]:
    register(url, "shared-place", PLACE, "PROTOBUF")
    reference = {"name": "shared/place.proto", "subject": "shared-place", "version": 1}
    schema_id = register(url, "protoplays-value", PROTO, "PROTOBUF", [reference])
    event = message_factory.GetMessageClass(message_of(PROTO, {"shared/place.proto": PLACE}, [0]))
    later = event(n=2, price=9.99, tags=["a"])
    later.at.FromDatetime(NOON.replace(tzinfo=None))
    later.place.city = "X"
    good = [framed(schema_id, b"\0" + each.SerializeToString()) for each in (event(n=1, kind=1, free="x"), later)]
    dead = [framed(schema_id, b"\0\x08"), framed(987_654, b"\0"), framed(schema_id, b""), b"x"]
    return [*good, framed(schema_id, b"\0"), *dead]


def test_events_land_by_their_writers_schemas_and_wait_for_a_registry_that_is_away(
    formats: Platform, registry_url: str, proxy: FaultProxy
) -> None:
    events = {"avroplays": avro_events(registry_url), "protoplays": protobuf_events(registry_url)}
    for stream, encoding in (("avroplays", "avro"), ("protoplays", "protobuf")):
        formats.declare(stream, YAML.format(stream=stream, format=encoding))
    routes = [f"{stream}.warehouse" for stream in events]
    with proxy.failing(Fault.REFUSES_503):
        verdicts = reconcile(formats.gateways, wanted(formats.streams, routes).goals)
        assert [verdict.message for verdict in verdicts if not verdict.ok] == []
        producer = Producer({**formats.settings.kafka, "enable.idempotence": True})
        for stream, payloads in events.items():
            for payload in payloads:
                producer.produce(stream, value=payload)
        assert producer.flush(60) == 0
        waited = threading.Event()
        while proxy.met[Fault.REFUSES_503] < 8 and not waited.wait(0.2):
            pass
        assert [formats.counted(stream).rows for stream in events] == [0, 0]
    for stream in events:
        formats.wait_for_rows(stream, 2)
    columns = 'n, kind, epoch_us("at"), price, tags, place.city'
    micros = int(NOON.timestamp()) * 10**6
    assert formats.rows("avroplays", f'SELECT {columns} FROM t ORDER BY "_offset"') == [
        (1, "B", None, None, None, None),
        (2, None, micros, 9.99, ["a", None], "X"),
    ]
    assert formats.rows("protoplays", f'SELECT {columns} FROM t ORDER BY "_offset"') == [
        (1, "B", None, None, [], None),
        (2, None, micros, 9.99, ["a"], "X"),
    ]
    for stream, dead in (("avroplays", 5), ("protoplays", 4)):
        plan = formats.plan(f"{stream}.warehouse")
        truth = audit_route(formats.settings, plan)
        assert truth.is_exact, truth
        assert (truth.landed, truth.filtered, truth.dead) == (2, 1, dead)
        hours = [total.hour for total in IcebergLake(formats.settings).hours(f"tests.{stream}") if total.hour]
        proofs = [prove_hour(formats.settings, Task(plan, hour, whole=True), datetime.now(UTC)) for hour in hours]
        assert [proof.findings for proof in proofs] == [()] * len(proofs)
