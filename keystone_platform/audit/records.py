"""Reads a range of a topic, record by record, as any consumer would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaError, KafkaException, Message, TopicPartition

from keystone_platform.errors import Terminal, Transient
from keystone_platform.gateways.kafka import Offsets

BATCH_RECORDS = 10_000
"""Most records of one batch."""

SILENCE_S = 30.0
"""How long a broker may send nothing while records are still to come."""

_CONSUMER: Mapping[str, str | int | bool] = {
    "group.id": "keystone-audit",
    "enable.auto.commit": False,
    "enable.partition.eof": True,  # a range may end in offsets that no record has: transaction markers, compaction
    "isolation.level": "read_committed",  # as routers read
    "auto.offset.reset": "error",
    "queued.max.messages.kbytes": 64 * 1024,
    "fetch.max.bytes": 16 * 1024 * 1024,
    "log_level": 0,
}

_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Record:
    """A record: its place, its bytes, and its headers, the last value of each name.

    Attributes:
        timestamp_ms: milliseconds since 1970; None when the record has none.
    """

    partition: int
    offset: int
    value: bytes | None
    headers: Mapping[str, bytes | None]
    key: bytes | None = None
    timestamp_ms: int | None = None


Clients = Mapping[str, str] | Callable[[str], Mapping[str, str]]
"""Properties of a Kafka client, or what returns those for the cluster that a topic is on."""


def read_records(kafka: Clients, topic: str, span: Offsets) -> Iterator[Sequence[Record]]:
    """Yield the records from `span.begin` up to before `span.end`, in batches; per partition in order.

    Holds a batch and what the client prefetches (64 MB a partition at most). Raises Transient when the broker goes
    silent, Terminal when a part of the range was deleted meanwhile.
    """
    open_partitions = {part: end for part, end in span.end.items() if span.begin[part] < end}
    if not open_partitions:
        return
    consumer = Consumer({**(kafka(topic) if callable(kafka) else kafka), **_CONSUMER})
    try:
        consumer.assign([TopicPartition(topic, part, span.begin[part]) for part in open_partitions])
        silent_s = 0.0
        while open_partitions:
            messages = consumer.consume(BATCH_RECORDS, timeout=_POLL_S)
            silent_s = 0.0 if messages else silent_s + _POLL_S
            if silent_s >= SILENCE_S:
                message = f"Kafka sent nothing of topic {topic} for {SILENCE_S:.0f} s"
                raise Transient(message, mend="Look at the broker's log.")
            records = [record for message in messages if (record := _advance(message, open_partitions))]
            if records:
                yield records
    except KafkaException as error:
        message = f"topic {topic} could not be read: {error.args[0].str()}"
        raise Transient(message) from error
    finally:
        consumer.close()


def _advance(message: Message, open_partitions: dict[int, int]) -> Record | None:
    """Return the record if it is in the range, and take its partition out when the range ends with it."""
    error = message.error()
    partition, offset = message.partition(), message.offset()
    if error is not None:
        if error.code() == KafkaError._PARTITION_EOF:
            open_partitions.pop(partition, None)
            return None
        if error.code() == KafkaError._AUTO_OFFSET_RESET and partition not in open_partitions:
            return None  # its range was read; what comes after it concerns nobody
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            text = f"records of topic {message.topic()} are gone: {error.str()}"
            raise Terminal(text, mend="Retention deleted them; count from a later offset.")
        raise KafkaException(error)
    end = open_partitions.get(partition)
    if end is None or offset >= end:
        open_partitions.pop(partition, None)
        return None
    if offset == end - 1:
        del open_partitions[partition]
    kind, timestamp = message.timestamp()
    return Record(
        partition,
        offset,
        message.value(),
        dict(message.headers() or ()),
        message.key(),
        None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp,
    )


def header_text(record: Record, name: str) -> str | None:
    """Return the text of a record's header, None when it has no such header or one without a value."""
    value = record.headers.get(name)
    return None if value is None else value.decode("utf-8", "replace")
