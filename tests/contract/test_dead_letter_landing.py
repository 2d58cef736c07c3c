"""Landed dead letters: from a real broker into a real table, each letter once, whatever happens in between."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from assets.dead_letters import land as landing
from assets.dead_letters.land import Landing, land
from assets.dead_letters.table import table_name
from keystone_platform import envelope
from keystone_platform.errors import Conflict
from keystone_platform.gateways.kafka import ConfluentKafka
from keystone_platform.gateways.lake import IcebergLake
from tests.contract.lake_tables import local_settings

pytestmark = pytest.mark.stack


@dataclass(frozen=True)
class Dying:
    """A stream of its own, its dead letters and their table."""

    kafka: Mapping[str, str]
    lake: IcebergLake
    stream: str

    @property
    def topic(self) -> str:
        return f"{self.stream}.dlq"

    def bury(self, *offsets: int, payload: bytes | None = b"\xff{") -> None:
        producer = Producer(self.kafka)
        for offset in offsets:
            headers = {
                envelope.CE_ID: b"guid",
                envelope.DLQ_CODE: b"not_utf8",
                envelope.DLQ_TEXT: b"at byte 0",
                envelope.DLQ_TIME: b"2026-11-01T12:00:00.000Z",
                envelope.DLQ_ROUTE: f"{self.stream}.warehouse".encode(),
                envelope.DLQ_DIGEST: b"d1",
                envelope.DLQ_TOPIC: self.stream.encode(),
                envelope.DLQ_PARTITION: b"1",
                envelope.DLQ_OFFSET: str(offset).encode(),
            }
            producer.produce(self.topic, payload, b"key", headers=headers, timestamp=1_761_998_400_000)
        assert producer.flush(20) == 0

    def land(self) -> Landing:
        return land(self.lake, ConfluentKafka(self.kafka), self.kafka, self.stream, self.topic)

    def delete_before(self, offset: int) -> None:
        admin = AdminClient(self.kafka)
        for future in admin.delete_records([TopicPartition(self.topic, 0, offset)]).values():
            future.result(20)

    def landed(self) -> list[int]:
        found = self.lake.load(table_name(self.stream)).scan(selected_fields=("source_offset",)).to_arrow()
        return sorted(found["source_offset"].to_pylist())


@pytest.fixture
def dying(kafka_properties: Mapping[str, str], tmp_path: Path) -> Dying:
    stream = f"s{uuid.uuid4().hex[:12]}"
    ConfluentKafka(kafka_properties).ensure_topic(f"{stream}.dlq", 1)
    return Dying(kafka_properties, IcebergLake(local_settings(tmp_path)), stream)


def test_each_letter_is_landed_once_with_all_that_it_holds(dying: Dying) -> None:
    assert dying.land().letters == 0
    assert dying.lake.tables() == (), "a stream without letters needs no table"
    dying.bury(1, 2)
    stranger = Producer(dying.kafka)
    stranger.produce(dying.topic, b"no letter")
    assert stranger.flush(20) == 0
    first = dying.land()
    assert (first.letters, first.strangers) == (2, 1)
    dying.bury(3, payload=None)
    assert (dying.land().letters, dying.land().letters) == (1, 0)
    assert dying.landed() == [1, 2, 3]
    rows = dying.lake.load(table_name(dying.stream)).scan().to_arrow().to_pylist()
    row = next(each for each in rows if each["source_offset"] == 2)
    assert (row["route"], row["code"], row["text"]) == (f"{dying.stream}.warehouse", "not_utf8", "at byte 0")
    assert (row["source_topic"], row["source_partition"], row["letter_offset"]) == (dying.stream, 1, 1)
    assert (row["key"], row["payload"], row["guid"]) == (b"key", b"\xff{", "guid")
    assert row["headers"] == [(envelope.CE_ID, b"guid")]
    assert f"{row['died_at']:%Y-%m-%dT%H:%M:%S}" == "2026-11-01T12:00:00"


def test_a_landing_that_dies_between_two_batches_is_finished_by_the_next(
    dying: Dying, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying.bury(*range(10))
    monkeypatch.setattr(landing, "BATCH_RECORDS", 4)
    rows, calls = landing.rows, 0

    def dies_at_the_second(letters: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return rows(letters)  # type: ignore[arg-type]

    monkeypatch.setattr(landing, "rows", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        dying.land()
    assert dying.landed() == [0, 1, 2, 3]
    assert dying.land().letters == 6
    assert dying.landed() == list(range(10))


def test_of_two_landings_at_once_one_is_refused(dying: Dying) -> None:
    dying.bury(1, 2)
    dying.land()
    dying.bury(3)

    read = landing.read_records

    def overtaken(*arguments: object) -> object:
        patch.setattr(landing, "read_records", read)
        batches = list(read(*arguments))  # type: ignore[arg-type]
        dying.land()  # between the look at the table and the commit
        return iter(batches)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landing, "read_records", overtaken)
        with pytest.raises(Conflict, match="another landing"):
            dying.land()
    assert dying.landed() == [1, 2, 3]


def test_letters_that_retention_deleted_are_told_and_the_rest_is_landed(dying: Dying) -> None:
    dying.bury(0)
    dying.land()
    dying.bury(1, 2, 3)
    dying.delete_before(3)
    found = dying.land()
    assert (found.gap, found.letters) == (2, 1)
    assert dying.landed() == [0, 3]


def test_many_topics_ends_are_asked_for_at_once(dying: Dying) -> None:
    dying.bury(1, 2)
    kafka = ConfluentKafka(dying.kafka)
    kafka.ensure_topic(f"{dying.stream}.two", 3)
    assert kafka.ends([dying.topic, f"{dying.stream}.two", "nobody.made.this"]) == {
        dying.topic: 2,
        f"{dying.stream}.two": 0,
    }
    assert kafka.ends([]) == {}
