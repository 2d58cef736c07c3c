"""What producers say that they counted: their audit events, and the sums that follow.

The producer's side is keystone_platform/producer/audit.py; docs/producer.md has the form.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Count = Annotated[int, Field(ge=0)]
Reasons = dict[str, Count]

HOUR_S = 3600

LOSS_LIMIT = 0.0001
"""Share of a day's events that may be dropped before they reach Kafka: 0.01 %."""


class AuditEvent(BaseModel):
    """One audit event. What a later producer adds is left aside.

    Attributes:
        producer: id of one run of one producer.
        sequence: counts its audit events from 0.
        began: when it began, Unix milliseconds; `until`: when this was written.
        final: it was closed, and this is all.
        counts: stream, cluster, hour of the records' timestamps (from 1970), attempted, acknowledged, dropped by
            reason; since the producer began, of those that may have changed since an earlier event.
        using: stream, cluster, and why it uses that one (`preferred`, `sick`, `order`), of streams that it sent and
            that live on several clusters.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    producer: Annotated[str, Field(min_length=1, max_length=64)]
    sequence: Count
    host: Annotated[str, Field(max_length=255)]
    app: Annotated[str, Field(max_length=255)]
    began: Count
    until: Count
    final: bool = False
    counts: tuple[
        tuple[
            Annotated[str, Field(max_length=255)],
            Annotated[str, Field(max_length=255)],
            Annotated[int, Field(ge=0, le=10_000_000)],
            Count,
            Count,
            Reasons,
        ],
        ...,
    ] = ()
    using: tuple[
        tuple[Annotated[str, Field(max_length=255)], Annotated[str, Field(max_length=255)], str],
        ...,
    ] = ()

    @classmethod
    def read(cls, value: bytes | None) -> AuditEvent | None:
        """Return the event that a record's value is; None if it is none."""
        try:
            return cls.model_validate_json(value or b"")
        except ValidationError:
            return None


class ClusterUse(BaseModel):
    """A cluster that a stream is sent to now.

    Attributes:
        cluster: its name.
        why: `preferred`, `sick` (the stream's other one is) or `order`.
        producers: how many send there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str
    why: str
    producers: Count


class Produced(BaseModel):
    """What producers counted of a stream in an hour or a day, by the timestamps of the records.

    Attributes:
        attempted: events handed to a producer; the sum of acknowledged, dropped and pending.
        acknowledged: events that Kafka acknowledged.
        dropped: by reason.
        by_cluster: of the acknowledged ones, how many each cluster acknowledged.
        producers: how many counted some of them.
        silent: how many of these neither ended nor were heard of lately: what they counted last is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempted: Count = 0
    acknowledged: Count = 0
    dropped: Reasons = {}
    by_cluster: Reasons = {}
    producers: Count = 0
    silent: Count = 0

    @property
    def dropped_total(self) -> int:
        """Events given up for any reason."""
        return sum(self.dropped.values())

    @property
    def pending(self) -> int:
        """Events whose outcome was not known when they were last counted."""
        return max(0, self.attempted - self.acknowledged - self.dropped_total)

    @property
    def loss(self) -> float:
        """Share of the attempted events that were dropped."""
        return self.dropped_total / self.attempted if self.attempted else 0.0


def merged(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Return the sums by reason."""
    return {reason: one.get(reason, 0) + other.get(reason, 0) for reason in sorted({*one, *other})}


def hour_number(hour: datetime) -> int:
    """Return the hour as producers count it, from 1970."""
    return int(hour.timestamp()) // HOUR_S


def day_of(hour: int) -> date:
    """Return the day (UTC) of an hour that was counted from 1970."""
    return datetime.fromtimestamp(hour * HOUR_S, UTC).date()
