"""Where a preview's events come from: the newest of a topic, or a file's lines. Nothing is written or committed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from keystone_platform.audit.records import Record, read_records
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.kafka import KafkaGateway, Offsets

FILE_BATCH = 1_000
"""Lines that are looked at together."""

FILE_PARTITION = 0


@dataclass(frozen=True)
class Events:
    """Events to look at, in batches that are read while they are asked for.

    Attributes:
        place: topic or file, as people know it.
        missing: there is no such topic.
        partitions: how many partitions are looked at.
        is_file: they are lines of a file, which have no headers and no time.
    """

    place: str
    batches: Iterator[Sequence[Record]]
    missing: bool = False
    partitions: int = 1
    is_file: bool = False

    def place_of(self, record: Record) -> str:
        """Return where one of them is: `topic-partition@offset`, or `file:line`."""
        within = f":{record.offset}" if self.is_file else f"-{record.partition}@{record.offset}"
        return f"{self.place}{within}"


def newest_events(
    kafka: KafkaGateway, properties: Mapping[str, str], topic: str, last: int, partition: int | None = None
) -> Events:
    """Return the newest `last` events of a topic, an even share of each partition, or of the one that is named.

    Fewer where the topic holds fewer, or where offsets hold no event (transactions, compaction). Asks Kafka for the
    topic's offsets; the batches raise what read_records raises.

    Raises:
        InvalidSpec: the topic has no such partition.
        Transient, Terminal: Kafka does not answer, or refuses.
    """
    offsets = kafka.offsets(topic)
    if partition is not None and offsets.end:
        if partition not in offsets.end:
            message = f"topic {topic} has no partition {partition}"
            raise InvalidSpec(message, mend=f"It has 0 to {max(offsets.end)}.")
        offsets = Offsets(begin={partition: offsets.begin[partition]}, end={partition: offsets.end[partition]})
    span = newest_offsets(offsets, last)
    return Events(topic, read_records(properties, topic, span), missing=not offsets.end, partitions=len(offsets.end))


def newest_offsets(offsets: Offsets, last: int) -> Offsets:
    """Return the ends of the partitions, `last` offsets together; what a short one lacks the others give."""
    length = {part: offsets.end[part] - offsets.begin[part] for part in offsets.end}
    begin: dict[int, int] = {}
    left = last
    for number, part in enumerate(sorted(length, key=lambda each: (length[each], each))):
        share = -(-left // (len(length) - number))
        taken = min(length[part], share)
        begin[part] = offsets.end[part] - taken
        left -= taken
    return Offsets(begin=begin, end=dict(offsets.end))


def events_of_file(file: Path, last: int) -> Events:
    """Return the last lines of a file as events, a payload a line; the line's number, from 1, is its offset.

    Raises:
        InvalidSpec: the file can't be read.
    """
    try:
        with file.open("rb") as lines:
            total = sum(1 for _ in lines)
    except OSError as error:
        message = f"can't be read: {error.strerror}"
        raise InvalidSpec(message, mend="Name a file with one JSON object a line.", file=str(file)) from error
    return Events(str(file), _lines(file, first=max(1, total - last + 1)), is_file=True)


def _lines(file: Path, first: int) -> Iterator[Sequence[Record]]:
    batch: list[Record] = []
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if number < first:
                continue
            batch.append(Record(FILE_PARTITION, number, line.rstrip(b"\r\n"), {}))
            if len(batch) == FILE_BATCH:
                yield batch
                batch = []
    if batch:
        yield batch
