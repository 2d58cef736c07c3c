"""A topic on a real broker and a real table, in which everything is right until a test makes one thing wrong."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions
from pyiceberg.io.pyarrow import schema_to_pyarrow

from assets.compaction.rewrite import write_files
from assets.proof.prove import Task, prove_hour
from keystone_platform.envelope import CE_ID, DLQ_DIGEST, DLQ_OFFSET, DLQ_PARTITION, DLQ_ROUTE, DLQ_TOPIC
from keystone_platform.gateways.kafka import ConfluentKafka
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.hour_proof import HourProof
from keystone_platform.plan.plan_router import plan_router
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.settings import Settings
from keystone_platform.spec.models import StreamSpec
from tests.contract.lake_tables import TEN, local_settings

TABLE = "events.proven"
NOW = TEN + timedelta(days=1)

Place = tuple[int, int]
"""Partition and offset."""


@dataclass(frozen=True)
class Event:
    """An event as it was sent."""

    user_id: int
    country: str
    at: datetime
    tags: tuple[str, ...] = ("a",)

    @property
    def payload(self) -> bytes:
        """Its JSON."""
        return json.dumps({"user_id": self.user_id, "country": self.country, "tags": self.tags}).encode()


def proven_plan(topic: str, condition: str | None = "country = 'US'") -> RouterPlan:
    """The route; without a condition every event is kept."""
    route: dict[str, Any] = {"sink": {"warehouse": {"table": TABLE}}, "select": ["user_id", "country", "tags"]}
    stream = StreamSpec.model_validate(
        {
            "stream": "proven",
            "owner": "team:tests",
            "topic": topic,
            "schema": {"user_id": "bigint", "country": "string", "tags": "array<string>"},
            "routes": [route | ({"filter": condition} if condition else {})],
        }
    )
    return plan_router(stream, stream.routes[0])


@dataclass
class World:
    """Topic, table and what was sent."""

    settings: Settings
    plan: RouterPlan
    events: dict[Place, Event] = field(default_factory=dict)

    @property
    def topic(self) -> str:
        """The source topic."""
        return self.plan.source.topic

    def produce(self, count: int, *, at: datetime = TEN, partition: int = 0, country: str = "US") -> list[Place]:
        """Send events, ten a second from `at` on; return their places."""
        return self.send([Event(n, country, at + timedelta(milliseconds=100 * n)) for n in range(count)], partition)

    def send(self, events: Iterable[Event], partition: int = 0, **transactional: str) -> list[Place]:
        """Send the events, in one transaction if that is asked for."""
        producer = Producer({**self.settings.kafka, **transactional})
        if transactional:
            producer.init_transactions(30)
            producer.begin_transaction()
        found: list[Place] = []
        for event in events:

            def delivered(error: object, message: Any, event: Event = event) -> None:
                assert error is None
                place = (message.partition(), message.offset())
                self.events[place] = event
                found.append(place)

            millis = int(event.at.timestamp() * 1000)
            headers = {CE_ID: f"guid-{event.user_id}"}
            producer.produce(
                self.topic, event.payload, partition=partition, timestamp=millis, headers=headers, on_delivery=delivered
            )
        assert producer.flush(30) == 0
        if transactional:
            producer.commit_transaction(30)
        return found

    def send_raw(self, payload: bytes, *, at: datetime = TEN, partition: int = 0) -> None:
        """Send bytes that may be no event."""
        producer = Producer(self.settings.kafka)
        producer.produce(self.topic, payload, partition=partition, timestamp=int(at.timestamp() * 1000))
        assert producer.flush(30) == 0

    def bury(self, place: Place, *, at: datetime = TEN, digest: str | None = None) -> None:
        """Write the event's dead letter as a router does."""
        headers = {
            DLQ_ROUTE: self.plan.route,
            DLQ_TOPIC: self.topic,
            DLQ_PARTITION: str(place[0]),
            DLQ_OFFSET: str(place[1]),
            DLQ_DIGEST: digest or self.plan.digest,
        }
        producer = Producer(self.settings.kafka)
        millis = int(at.timestamp() * 1000)
        producer.produce(self.plan.dead_letter_topic, b"{", headers=headers, timestamp=millis)
        assert producer.flush(30) == 0

    def land(self, places: Iterable[Place], **changed: object) -> None:
        """Commit the events' rows, each into its hour."""
        by_hour: dict[datetime, list[Place]] = defaultdict(list)
        for place in places:
            by_hour[self.events[place].at.replace(minute=0, second=0, microsecond=0)].append(place)
        table = IcebergLake(self.settings).load(TABLE)
        schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
        for hour, found in by_hour.items():
            rows = [self._row(place) | changed for place in found]
            columns = {field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in schema}
            written = write_files(table, pa.table(columns, schema=schema).to_batches(), hour, 1 << 30)
            with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
                for file in written:
                    append.append_data_file(file)
            table.refresh()

    def expire(self, partition: int, before: int) -> None:
        """Let Kafka forget the records before that offset."""
        admin = AdminClient(dict(self.settings.kafka))
        for done in admin.delete_records([TopicPartition(self.topic, partition, before)]).values():
            done.result(30)

    def add_partition(self) -> None:
        """Give the topic one more partition."""
        admin = AdminClient(dict(self.settings.kafka))
        count = len(ConfluentKafka(self.settings.kafka).offsets(self.topic).end)
        for done in admin.create_partitions([NewPartitions(self.topic, count + 1)]).values():
            done.result(30)

    def prove(self, hour: datetime = TEN, **asked: Any) -> HourProof:
        """Prove an hour, by default whole."""
        proof = prove_hour(self.settings, Task(self.plan, hour, **({"whole": True} | asked)), NOW)
        found = proof.compared
        assert found.read == found.landed + found.filtered + found.dead + found.missing + found.waiting
        assert found.offsets == found.read + found.empty
        return proof

    def with_plan(self, condition: str | None) -> World:
        """The same with another filter."""
        return replace(self, plan=proven_plan(self.topic, condition))

    def _row(self, place: Place) -> dict[str, object]:
        event = self.events[place]
        values = {"user_id": event.user_id, "country": event.country, "tags": list(event.tags)}
        identity = {"_topic": self.topic, "_partition": place[0], "_offset": place[1]}
        return {**values, "_guid": f"guid-{event.user_id}", "_time": event.at.astimezone(UTC), **identity}


def new_world(kafka: Mapping[str, str], folder: Path, condition: str | None = "country = 'US'") -> World:
    """A topic of two partitions whose records never expire by age, and an empty table."""
    plan = proven_plan(f"t{uuid.uuid4().hex[:12]}", condition)
    settings = local_settings(folder).model_copy(update={"kafka": dict(kafka)})
    gateway = ConfluentKafka(kafka)
    for topic in (plan.source.topic, plan.dead_letter_topic):
        gateway.ensure_topic(topic, 2 if topic == plan.source.topic else 1, {"retention.ms": "-1"})
    IcebergLake(settings).ensure_table(plan)
    return World(settings, plan)
