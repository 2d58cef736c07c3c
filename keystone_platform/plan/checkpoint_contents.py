"""What a checkpoint's Kafka offsets mean, beside how far the topics reach and what the table holds: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from keystone_platform.plan.recovery import NextOffsets


@dataclass(frozen=True)
class Contents:
    """The offsets that a checkpoint or savepoint holds, or why they can't be told.

    Attributes:
        offsets: to go on with; a partition that the source had not been given yet is missing.
        unreadable: why there are none; empty when they were read.
    """

    offsets: NextOffsets = field(default_factory=dict)
    unreadable: str = ""


@dataclass(frozen=True)
class Reach:
    """How far topics and table reach now, by topic and partition; what is not known is missing.

    Attributes:
        begin: offset of the oldest record that Kafka has.
        end: offset that the next record gets.
        landed: offset behind the largest one in the route's table.
        table: the route's table; None if it has none.
    """

    begin: NextOffsets = field(default_factory=dict)
    end: NextOffsets = field(default_factory=dict)
    landed: NextOffsets = field(default_factory=dict)
    table: str | None = None


@dataclass(frozen=True)
class Position:
    """One partition as a checkpoint has it. Offsets are those of the next record; None where they are not known.

    Attributes:
        offset: what a job that is started from the checkpoint goes on with; None: with the partition's beginning.
        begin: of the oldest record that Kafka has.
        end: of the record that comes next.
        landed: behind the largest offset in the table; None also where the table has no row of the partition.
    """

    topic: str
    partition: int
    offset: int | None
    begin: int | None
    end: int | None
    landed: int | None

    @property
    def lag(self) -> int | None:
        """Offsets from here to the partition's end."""
        start = self._start
        return None if self.end is None or start is None else max(0, self.end - start)

    @property
    def behind_table(self) -> int:
        """Offsets that the table is ahead: a job that is started from here reads these again."""
        start = self._start
        return 0 if self.landed is None or start is None else max(0, self.landed - start)

    @property
    def deleted(self) -> int:
        """Offsets from here on that Kafka has deleted meanwhile."""
        return 0 if self.offset is None or self.begin is None else max(0, self.begin - self.offset)

    @property
    def is_beyond_end(self) -> bool:
        """Whether the partition ends before it: then the topic is another one than the checkpoint's."""
        return self.offset is not None and self.end is not None and self.offset > self.end

    @property
    def _start(self) -> int | None:
        return self.begin if self.offset is None else self.offset


def positions(offsets: NextOffsets, reach: Reach) -> tuple[Position, ...]:
    """Return every partition that the checkpoint or its topics have, in order."""
    places = {place for known in (offsets, reach.end) for place in _places(known)}

    def at(where: NextOffsets, topic: str, partition: int) -> int | None:
        return where.get(topic, {}).get(partition)

    return tuple(
        Position(topic, partition, *(at(each, topic, partition) for each in _of(offsets, reach)))
        for topic, partition in sorted(places)
    )


def dangers(held: tuple[Position, ...], table: str | None, committed_after: int | None = None) -> tuple[str, ...]:
    """Return what would go wrong if a job were started from a checkpoint; empty when nothing would.

    Args:
        held: the checkpoint's positions; empty when they can't be read.
        table: the route's table; None if it has none.
        committed_after: a later checkpoint of the same job that the table's history tells of; None if there is none.
    """
    found = []
    again = sum(each.behind_table for each in held)
    if table and (again or (committed_after is not None and not held)):
        by = f"{again:,} offsets" if again else f"checkpoint {committed_after} is committed"
        found.append(
            f"older than {table} ({by}): started from it by hand, a job lands rows twice; under its old id, loses rows"
        )
    deleted = sum(each.deleted for each in held)
    if deleted:
        found.append(f"Kafka has deleted {deleted:,} offsets that come after it")
    if any(each.is_beyond_end for each in held):
        found.append("a topic ends before it: the topic was deleted and made anew")
    return tuple(found)


def total_lag(held: tuple[Position, ...]) -> int | None:
    """Return the lag over all partitions; None when one of them is not known, or none is."""
    lags = [each.lag for each in held]
    return None if not lags or None in lags else sum(lag for lag in lags if lag is not None)


def _places(offsets: NextOffsets) -> Iterator[tuple[str, int]]:
    for topic, mine in offsets.items():
        for partition in mine:
            yield topic, partition


def _of(offsets: NextOffsets, reach: Reach) -> tuple[Mapping[str, Mapping[int, int]], ...]:
    return offsets, reach.begin, reach.end, reach.landed
