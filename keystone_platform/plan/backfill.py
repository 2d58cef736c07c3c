"""What a backfill replaces: rows of a range of time and of a range of offsets. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from keystone_platform.errors import InvalidSpec
from keystone_platform.plan.recovery import NextOffsets, positions_text

HOUR = timedelta(hours=1)

BRANCH_PREFIX = "backfill-"
"""What the names of backfills' branches begin with; each is the identity of one backfill."""

_SPAN = re.compile(r"^(?P<topic>[^:\s]+):(?P<partition>\d+):(?P<begin>\d+)-(?P<end>\d+)$")


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TimeRange(_Value):
    """Event times from `start` up to before `end`, UTC."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        """Return both, to the second."""
        return f"{self.start:%Y-%m-%dT%H:%M:%S} to {self.end:%Y-%m-%dT%H:%M:%S}"


class Span(_Value):
    """Offsets of a partition from `begin` up to before `end`."""

    topic: str
    partition: int
    begin: int
    end: int

    def __str__(self) -> str:
        """Return it as the command line takes it."""
        return f"{self.topic}:{self.partition}:{self.begin}-{self.end}"


class KafkaTopics(_Value):
    """The topics that the route reads: they hold every event that they have not deleted."""

    kind: Literal["kafka"] = "kafka"

    def __str__(self) -> str:
        return "Kafka"


class TableSnapshot(_Value):
    """A raw table, `namespace.table`, as one of its snapshots has it: it may lack events that the route landed."""

    kind: Literal["table"] = "table"
    table: str
    snapshot_id: int

    def __str__(self) -> str:
        return f"{self.table} at snapshot {self.snapshot_id}"


EventSource = Annotated[KafkaTopics | TableSnapshot, Field(discriminator="kind")]
"""Where a backfill's job and its proof read the events."""

KAFKA = KafkaTopics()


class Scope(_Value):
    """The rows that a backfill replaces, and the events that it reads: those of the spans whose time is in `times`.

    Attributes:
        times: in order, none touches another; empty means any time, none included.
        spans: one at most of each partition; none is empty.
    """

    times: tuple[TimeRange, ...] = ()
    spans: tuple[Span, ...] = ()

    @property
    def begins(self) -> str:
        """Where reading begins, as the routers' source takes it."""
        return positions_text(_by_topic((span.topic, span.partition, span.begin) for span in self.spans))

    @property
    def ends(self) -> str:
        """Where it ends."""
        return positions_text(_by_topic((span.topic, span.partition, span.end) for span in self.spans))

    @property
    def offsets(self) -> int:
        """How many offsets are read; more than events where the topic holds transactions."""
        return sum(span.end - span.begin for span in self.spans)

    def of_topic(self, topic: str) -> tuple[Span, ...]:
        """Return the spans of that topic."""
        return tuple(span for span in self.spans if span.topic == topic)

    def holds_time(self, time: datetime | None) -> bool:
        """Whether an event of that time belongs to it."""
        if not self.times:
            return True
        return time is not None and any(each.start <= time < each.end for each in self.times)

    def touches_hour(self, hour: datetime | None) -> bool:
        """Whether rows of that hour may belong to it; the hour None is that of rows without a time."""
        if not self.times:
            return True
        return hour is not None and any(each.start < hour + HOUR and hour < each.end for each in self.times)


class Request(_Value):
    """What somebody asks to have replayed: times or offsets.

    Attributes:
        late: how long after the end of a range its late events are looked for in the topic; those that landed are
            found however late they came.
        from_table: the raw table that holds the events; None for Kafka.
    """

    times: tuple[TimeRange, ...] = ()
    spans: tuple[Span, ...] = ()
    late: timedelta = HOUR
    from_table: str | None = None

    def key(self, digest: str) -> str:
        """Return what is the same of the same request for the same plan, as 10 hex digits."""
        return hashlib.sha256(f"{digest} {self.model_dump_json(exclude_none=True)}".encode()).hexdigest()[:10]


class Backfill(_Value):
    """One backfill: where its job writes and what it reads. Kept in the table's properties from its begin to its end.

    Attributes:
        branch: of the table; its identity.
        request: key of what was asked for: asked again, an unfinished one goes on.
    """

    branch: str
    request: str
    scope: Scope
    source: EventSource = KAFKA

    @property
    def job_id(self) -> str:
        """Id of its Flink job: the cluster refuses a second one."""
        return hashlib.sha256(self.branch.encode()).hexdigest()[:32]

    @property
    def property(self) -> str:
        """Name of the table's property that holds it."""
        return f"{PROPERTY_PREFIX}{self.branch}"


PROPERTY_PREFIX = "keystone.backfill."
"""What the names of the properties begin with that hold unfinished backfills."""


def merged(ranges: Iterable[TimeRange]) -> tuple[TimeRange, ...]:
    """Return the ranges in order, those that touch or overlap as one."""
    found: list[TimeRange] = []
    for each in sorted(ranges, key=lambda one: one.start):
        if found and each.start <= found[-1].end:
            found[-1] = TimeRange(start=found[-1].start, end=max(found[-1].end, each.end))
        else:
            found.append(each)
    return tuple(found)


def hours(starts: Iterable[datetime]) -> tuple[TimeRange, ...]:
    """Return the ranges of these hours."""
    return merged(TimeRange(start=start, end=start + HOUR) for start in starts)


def parse_span(text: str) -> Span:
    """Return the span that `topic:partition:begin-end` names; InvalidSpec when it names none."""
    found = _SPAN.match(text)
    span = found and Span(
        topic=found["topic"],
        partition=int(found["partition"]),
        begin=int(found["begin"]),
        end=int(found["end"]),
    )
    if span is None or span.begin >= span.end:
        message = f"{text!r} is no range of offsets"
        raise InvalidSpec(
            message, mend="Write it as topic:partition:begin-end, the end not included: clicks:0:100-200."
        )
    return span


def hours_of(scope: Scope) -> tuple[datetime, ...]:
    """Return the starts of the hours that the scope's times touch, in order."""
    found = []
    for each in scope.times:
        hour = each.start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        while hour < each.end:
            found.append(hour)
            hour += HOUR
    return tuple(dict.fromkeys(found))


class Outline(_Value):
    """A scope, and what of the request is left out of it.

    Attributes:
        gone: offsets that were asked for and that Kafka has deleted: their rows, if any, stay as they are.
        unsettled: offsets that the table does not show to be committed yet: they are left to the live router. Nor are
            those replayed that a raw table does not hold yet.
        source: where the events are read.
        behind: offsets of the topic behind the spans, where events of these times may have come later than was looked.
    """

    scope: Scope
    gone: tuple[Span, ...] = ()
    unsettled: tuple[Span, ...] = ()
    source: EventSource = KAFKA
    behind: int = 0


def outline(
    times: Sequence[TimeRange],
    wished: Iterable[Span],
    oldest: NextOffsets,
    settled: Mapping[str, Mapping[int, int]],
    source: EventSource = KAFKA,
) -> Outline:
    """Bound the wished spans by what the source still has and by what the live router has committed.

    Args:
        times: merged ranges; none for any time.
        wished: what should be read.
        oldest: by topic and partition, the oldest offset that is kept.
        settled: the offset up to which everything is dealt with; what is missing counts as 0.
        source: where the events are read.
    """
    spans, gone, unsettled = [], [], []
    for span in wished:
        first = oldest.get(span.topic, {}).get(span.partition)
        if first is None:
            message = f"topic {span.topic} has no partition {span.partition}"
            raise InvalidSpec(message, mend="Name one that the route reads: topic:partition:begin-end.")
        last = max(span.begin, settled.get(span.topic, {}).get(span.partition, 0))
        begin, end = min(max(span.begin, first), span.end), min(span.end, last)
        if span.begin < begin:
            gone.append(span.model_copy(update={"end": begin}))
        if begin < end:
            spans.append(span.model_copy(update={"begin": begin, "end": end}))
        if max(end, begin) < span.end:
            unsettled.append(span.model_copy(update={"begin": max(end, begin)}))
    scope = Scope(times=tuple(times), spans=tuple(spans))
    return Outline(scope=scope, gone=tuple(gone), unsettled=tuple(unsettled), source=source)


def _by_topic(positions: Iterable[tuple[str, int, int]]) -> NextOffsets:
    offsets: dict[str, dict[int, int]] = {}
    for topic, partition, offset in positions:
        offsets.setdefault(topic, {})[partition] = offset
    return offsets
