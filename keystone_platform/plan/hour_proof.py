"""The proof of an hour: what was looked at, what was counted, and what follows from the counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from keystone_platform.plan.produced import Produced

PROVEN_TAG = "proven"
"""Tag of the table's newest snapshot in which every hour before PROVEN_UNTIL is proven."""

PROVEN_UNTIL = "keystone.proven-until"
"""Table property: end of the last proven hour, ISO 8601 in UTC. Set in the commit that moves PROVEN_TAG."""

HOUR = timedelta(hours=1)

Count = Annotated[int, Field(ge=0)]


class ProofPart(BaseModel):
    """Base of a proof's parts: frozen, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Standing(StrEnum):
    """What a proof says of its hour.

    BROKEN: something is wrong, and it is told what. WAITING: events behind the newest row of their partition have not
    landed; the router is behind, or stopped. EXPIRED: nothing is wrong in what could be looked at, and Kafka no longer
    has the rest. HOLDS: nothing is wrong, and nothing had expired.
    """

    BROKEN = "broken"
    WAITING = "waiting"
    EXPIRED = "expired"
    HOLDS = "holds"


class Span(ProofPart):
    """The hour's segment in one partition of a topic: the offsets `begin` up to before `end`.

    Attributes:
        expired: Kafka no longer has where the segment begins, so `begin` is only the oldest record that is kept.
    """

    topic: str
    partition: int
    begin: int
    end: int
    expired: bool = False

    @property
    def offsets(self) -> int:
        """How many offsets it has; more than records where the topic holds transaction markers."""
        return self.end - self.begin


class Identities(ProofPart):
    """The hour's rows by (topic, partition, offset); all of them were looked at.

    Attributes:
        rows: rows whose `_time` is in the hour.
        duplicates: rows among them that repeat another one's identity.
        late: rows among them that came behind the hour's segment.
        expired_rows: rows among them that Kafka no longer has, so that nothing compares them.
        strangers: rows among them of topics that the route does not read.
        gaps: offsets of the segment that are in no row, whatever the row's hour; None where a filter drops events.
            Of these, `gaps_unread` were not looked up in Kafka, and the others are told apart by the comparison.
        gaps_expired: offsets in no row between the hour's first row and what Kafka still has; nobody can say whether
            there was an event. None as for `gaps`.
    """

    rows: Count = 0
    duplicates: Count = 0
    late: Count = 0
    expired_rows: Count = 0
    strangers: Count = 0
    gaps: Count | None = None
    gaps_unread: Count = 0
    gaps_expired: Count | None = None


class Comparison(ProofPart):
    """Kafka's records of a part of the segment, decoded and filtered a second time, against the table's rows.

    `read` is the sum of landed, filtered, dead, missing and waiting: each event is counted once.

    Attributes:
        offsets: offsets of the segment that were read.
        empty: of these, how many hold no record: transaction markers, aborted records, compacted ones.
        read: events read.
        landed: events that have a row.
        filtered: events that the filter drops and that have neither row nor dead letter.
        dead: events that have a dead letter of this route and no row.
        missing: events that have neither, though a later event of their partition has a row: lost.
        waiting: the same, but nothing later of their partition has a row.
        unexpected: rows and dead letters of events that should have none, and rows of offsets without an event.
        different: rows whose values are not the event's.
        duplicates: rows that repeat another one's identity.
        earlier_plan: events whose row or absence is what a plan says that ran before the present one.
        checksum_events: of what the events' rows should be; hexadecimal, 16 digits. Equal to `checksum_rows` when
            nothing is missing, waiting, unexpected, different or double.
        checksum_rows: of the rows that there are.
    """

    offsets: Count = 0
    empty: Count = 0
    read: Count = 0
    landed: Count = 0
    filtered: Count = 0
    dead: Count = 0
    missing: Count = 0
    waiting: Count = 0
    unexpected: Count = 0
    different: Count = 0
    duplicates: Count = 0
    earlier_plan: Count = 0
    checksum_events: str = "0" * 16
    checksum_rows: str = "0" * 16


class Accounted(ProofPart):
    """What producers counted of the hour, beside what Kafka has of it; no part of the proof's standing.

    Attributes:
        produced: what producers counted, by the timestamps of their records.
        in_kafka: records of the hour's segment in the stream's own topic, and `behind`; None where some have expired.
        behind: records of the hour that came behind its segment; looked for only where some seem to lack.
        unread: offsets behind the segment that were not looked through for them.
    """

    produced: Produced
    in_kafka: Count | None = None
    behind: Count = 0
    unread: Count = 0

    @property
    def unacknowledged(self) -> int | None:
        """Records that no producer was told of: of other producers, or arrived after all. Negative: see `lacking`."""
        return None if self.in_kafka is None else self.in_kafka - self.produced.acknowledged

    @property
    def lacking(self) -> int:
        """Acknowledged events that were not found in Kafka: at least so many are not there, or are in `unread`."""
        return max(0, -(self.unacknowledged or 0))

    @property
    def lacking_text(self) -> str:
        """What to say of them."""
        if self.unread:
            return f"acknowledged events were not found; {self.unread:,} later offsets were not looked through: --whole"
        return "acknowledged events are not in Kafka"


class HourProof(ProofPart):
    """All that one look at an hour found.

    Attributes:
        table: `namespace.table`.
        hour: start of the hour, UTC.
        made_at: when the look began.
        plan_digest: of the RouterPlan that the events were judged by.
        snapshot_id: the snapshot that was looked at.
        sequence: that snapshot's sequence number: a later commit's is larger.
        whole: whether all of the segment that Kafka still has was compared, or a sample.
        spans: the hour's segment as it was then; partitions without an offset in it are left out.
        examples: places of what is wrong, `topic-partition@offset: what`, at most 20.
        schema_differences: how the table is not as declared.
        files_missing: data files that the table names and the object store does not have; then nothing was counted.
        accounted: what producers say of the hour; None when none of them counted it, or nobody could ask.
    """

    table: str
    hour: AwareDatetime
    made_at: AwareDatetime
    plan_digest: str
    snapshot_id: int
    sequence: Count
    whole: bool
    spans: tuple[Span, ...] = ()
    identities: Identities = Identities()
    compared: Comparison = Comparison()
    examples: tuple[str, ...] = ()
    schema_differences: tuple[str, ...] = ()
    files_missing: tuple[str, ...] = ()
    accounted: Accounted | None = None

    @property
    def segment_offsets(self) -> int:
        """Offsets of the segment that Kafka still has."""
        return sum(span.offsets for span in self.spans)

    @property
    def expired_partitions(self) -> int:
        """Partitions of which Kafka no longer has the beginning of the segment."""
        return sum(span.expired for span in self.spans)

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong, one sentence each; empty when nothing is."""
        compared, identities = self.compared, self.identities
        found = (
            (identities.duplicates, "rows of the hour repeat another one's identity"),
            (compared.missing, "events have neither a row nor a dead letter"),
            (compared.unexpected, "rows or dead letters are of no event that should have one"),
            (compared.different, "rows differ from their event"),
            # of the segment's rows in other hours; those of this hour are counted above
            (0 if identities.duplicates else compared.duplicates, "rows of the segment repeat another one's identity"),
        )
        return (*(f"{count} {what}" for count, what in found if count), *self.schema_differences, *self.files_missing)

    @property
    def standing(self) -> Standing:
        """What the proof says of its hour."""
        if self.findings:
            return Standing.BROKEN
        if self.compared.waiting:
            return Standing.WAITING
        return Standing.EXPIRED if self.expired_partitions else Standing.HOLDS

    @property
    def told(self) -> str:
        """The hour and its standing in a few words, with what nobody can compare any more."""
        told = f"{self.hour:%Y-%m-%dT%H} {self.standing}"
        if self.findings:
            return f"{told}: {'; '.join(self.findings)}"
        if not self.expired_partitions:
            return told
        return f"{told} (Kafka no longer has {self.identities.expired_rows:,} of its {self.identities.rows:,} rows)"

    @property
    def verdict(self) -> Verdict:
        """What of it is kept beside the proof, to be asked for many hours at once."""
        return Verdict(
            hour=self.hour,
            made_at=self.made_at,
            standing=self.standing,
            rows=self.identities.rows,
            sequence=self.sequence,
        )


class Verdict(ProofPart):
    """The short form of an hour's newest proof.

    Attributes:
        rows: rows of the hour that were looked at.
        sequence: sequence number of the snapshot that was looked at.
    """

    hour: AwareDatetime
    made_at: AwareDatetime
    standing: Standing
    rows: Count
    sequence: Count

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong or waiting and the hour was over; what had expired in Kafka stays unknown."""
        return self.standing in (Standing.HOLDS, Standing.EXPIRED) and self.made_at >= self.hour + HOUR

    def covers(self, rows: int, sequence: int) -> bool:
        """Whether the hour is still what was looked at.

        Args:
            rows: the hour's rows now.
            sequence: the largest sequence number of its data files now.
        """
        return self.rows == rows and sequence <= self.sequence


def proven_until(hours: Iterable[tuple[datetime, Verdict | None]]) -> datetime | None:
    """Return the end of the last hour before the first one without a proof that holds; None when that is the first.

    Args:
        hours: all hours of the table that have rows, in order, each with the proof that covers it, if any.
    """
    reached = None
    for hour, verdict in hours:
        if verdict is None or not verdict.holds:
            break
        reached = hour + HOUR
    return reached
