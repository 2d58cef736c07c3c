"""Kafka, tables, search, objects and time, with as much behaviour as the control loop depends on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from keystone_platform.errors import Transient
from keystone_platform.gateways.iceberg_files import Changes, HourTotals
from keystone_platform.gateways.kafka import MAX_MESSAGE_BYTES, Moment, Offsets
from keystone_platform.gateways.lake import Head, TableChange
from keystone_platform.gateways.objects import StoredObject, Upload
from keystone_platform.plan.checkpoint_contents import Contents
from keystone_platform.plan.column_effect import ColumnEffect
from keystone_platform.plan.recovery import METADATA_HEAD_BYTES, NextOffsets, offsets_of_text
from keystone_platform.plan.router_plan import RouterPlan, WarehouseTarget


class FakeClock:
    """Time that passes only when somebody sleeps or a test says so."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class FakeObjects:
    """An object store in memory: URI to bytes."""

    stored: dict[str, bytes] = field(default_factory=dict)
    modified: dict[str, datetime] = field(default_factory=dict)
    """When objects were written, where that matters."""

    def listed(self, prefix: str) -> tuple[StoredObject, ...]:
        long_ago = datetime(2026, 11, 1, tzinfo=UTC)
        return tuple(
            StoredObject(uri, len(self.stored[uri]), self.modified.get(uri, long_ago)) for uri in self.keys(prefix)
        )

    def walk(self, prefix: str) -> Iterator[StoredObject]:
        yield from self.listed(prefix)

    def uploads(self, prefix: str) -> tuple[Upload, ...]:
        return ()

    def abort(self, upload: Upload) -> None:
        raise AssertionError(upload)

    def keys(self, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(uri for uri in self.stored if uri.startswith(prefix)))

    def size(self, uri: str) -> int | None:
        return len(self.stored[uri]) if uri in self.stored else None

    def head(self, uri: str, size: int) -> bytes:
        return self.stored[uri][:size]

    def delete(self, uris: Iterable[str]) -> int:
        return sum(self.stored.pop(uri, None) is not None for uri in list(uris))

    def delete_prefix(self, prefix: str) -> int:
        return self.delete(self.keys(prefix))


@dataclass
class FakeKafka:
    """Topics by name, with their partitions."""

    topics: dict[str, int] = field(default_factory=dict)
    reaches: dict[str, Offsets] = field(default_factory=dict)
    """How far topics reach; empty ones need not be named."""
    ended: dict[str, int] = field(default_factory=dict)
    """Sums of where topics' partitions end."""
    arrived: dict[str, dict[datetime, int]] = field(default_factory=dict)
    """How many events came into a topic at a time."""
    reachable: bool = True
    away: str = ""
    """Begins the names of topics whose cluster does not answer."""
    records: dict[str, int] = field(default_factory=dict)
    """Largest record of the topics whose own is another than Keystone's."""
    transaction_timeout_s: float = 900.0

    def ensure_topic(self, name: str, partitions: int, config: Mapping[str, str] | None = None) -> bool:
        self._answer(name)
        created = name not in self.topics
        self.topics.setdefault(name, partitions)
        return created

    def ends(self, topics: Collection[str]) -> Mapping[str, int]:
        for topic in topics:
            self._answer(topic)
        known = dict.fromkeys(self.topics, 0) | self.ended
        return {topic: known[topic] for topic in topics if topic in known}

    def reached(self, asked: Collection[Moment]) -> Mapping[Moment, int | None]:
        if not self.reachable:
            message = "Kafka does not answer"
            raise Transient(message, mend="Is it up?")
        return {(topic, time): self._reached(topic, time) for topic, time in asked}

    def _reached(self, topic: str, time: datetime) -> int | None:
        if topic not in self.arrived:
            return None
        return sum(count for at, count in self.arrived[topic].items() if at < time)

    def offsets_at(self, topic: str, *times: datetime) -> tuple[Mapping[int, int], ...]:
        return (self.offsets(topic).end,) * len(times)

    def offsets(self, topic: str) -> Offsets:
        if self.away:
            self._answer(topic)
        return self.reaches.get(topic, Offsets({}, {}))

    def _answer(self, topic: str) -> None:
        if not self.reachable or (self.away and topic.startswith(self.away)):
            message = "Kafka does not answer"
            raise Transient(message, mend="Is it up?")

    def largest_record(self, topic: str) -> int | None:
        return self.records.get(topic, MAX_MESSAGE_BYTES) if topic in self.topics else None

    def largest_transaction_timeout_s(self) -> float:
        return self.transaction_timeout_s


@dataclass
class FakeLake:
    """Tables by name, newest committed checkpoints by (table, job id), and up to where tables hold events."""

    made: set[str] = field(default_factory=set)
    commits: dict[tuple[str, str], int] = field(default_factory=dict)
    landed: dict[str, NextOffsets] = field(default_factory=dict)

    def ensure_table(self, plan: RouterPlan) -> TableChange:
        assert isinstance(plan.target, WarehouseTarget)
        created = plan.target.table not in self.made
        self.made.add(plan.target.table)
        return TableChange(plan.target.table, created)

    def column_effects(self, plan: RouterPlan) -> tuple[ColumnEffect, ...]:
        return ()

    def tables(self) -> tuple[str, ...]:
        return tuple(sorted(self.made))

    def head(self, table: str) -> Head | None:
        return None

    def hours(self, table: str, only: Collection[datetime | None] | None = None) -> tuple[HourTotals, ...]:
        return ()

    def committed_checkpoint(self, table: str, job_id: str) -> int | None:
        return self.commits.get((table, job_id))

    def next_offsets(self, table: str, topics: Collection[str]) -> NextOffsets:
        return {topic: ends for topic, ends in self.landed.get(table, {}).items() if topic in topics}

    def changes_since(self, table: str, snapshot_id: int | None) -> Changes:
        raise NotImplementedError


@dataclass
class FakeSearch:
    """Templates by route."""

    templates: dict[str, RouterPlan] = field(default_factory=dict)

    def ensure_template(self, plan: RouterPlan) -> None:
        self.templates[plan.route] = plan


class FakeCheckpointReader:
    """Reads what FakeFlink writes: positions as text, behind the header."""

    def read(self, metadata: Sequence[bytes]) -> tuple[Contents, ...]:
        return tuple(self._one(each) for each in metadata)

    def _one(self, metadata: bytes) -> Contents:
        held = metadata[METADATA_HEAD_BYTES:].decode()
        return Contents(offsets_of_text(held)) if held else Contents(unreadable="no source has left its state in it")
