"""Offsets that no row has, as ranges: transactions may leave one behind every event, so they are kept in arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assets.proof.sample import Block

Ranges = npt.NDArray[np.int64]
"""A row a range: its first offset and the one after its last; in order, and apart."""

LOOKED_UP = 100_000
"""Offsets of gaps that are looked up in Kafka."""

BLOCKS = 8
"""Looked up in one partition at most: each is a request of its own."""

NEIGHBOURS = 2_000
"""Gaps so close are looked up together."""


@dataclass(frozen=True)
class Gaps:
    """The gaps of one partition."""

    topic: str
    partition: int
    ranges: Ranges

    @property
    def offsets(self) -> int:
        """How many offsets are missing."""
        return int((self.ranges[:, 1] - self.ranges[:, 0]).sum())

    @property
    def first(self) -> int:
        """The first offset that is missing."""
        return int(self.ranges[0, 0])

    @property
    def end(self) -> int:
        """The offset after the last one that is missing."""
        return int(self.ranges[-1, 1])

    def within(self, begin: int, end: int) -> Gaps:
        """Return the part of the gaps that is in these offsets."""
        cut = np.clip(self.ranges, begin, max(begin, end))
        return Gaps(self.topic, self.partition, cut[cut[:, 0] < cut[:, 1]])

    def blocks(self) -> Iterator[Block]:
        """Yield each gap."""
        for begin, end in self.ranges.tolist():
            yield Block(self.topic, self.partition, begin, end)


def gaps_of(seen: npt.NDArray[np.uint8], region: Block) -> Gaps:
    """Return the zeros of `seen`, which has a number for each offset of the region."""
    if seen.all():
        return Gaps(region.topic, region.partition, np.empty((0, 2), np.int64))
    edges = np.flatnonzero(np.diff(seen, prepend=np.uint8(1), append=np.uint8(1)))
    return Gaps(region.topic, region.partition, edges.reshape(-1, 2).astype(np.int64) + region.begin)


def without(gaps: Gaps, offsets: npt.NDArray[np.int64]) -> Gaps:
    """Return the gaps that are left when these offsets are found after all."""
    if not len(gaps.ranges):
        return gaps
    region = Block(gaps.topic, gaps.partition, gaps.first, gaps.end)
    edges = np.zeros(region.offsets + 1, np.int8)
    edges[gaps.ranges[:, 0] - region.begin] += 1
    edges[gaps.ranges[:, 1] - region.begin] -= 1
    seen = (np.cumsum(edges[:-1], dtype=np.int8) == 0).astype(np.uint8)
    seen[offsets[(offsets >= region.begin) & (offsets < region.end)] - region.begin] = 1
    return gaps_of(seen, region)


def merged(gaps: Sequence[Gaps]) -> list[Gaps]:
    """Return gaps of which each partition has one; those without a range are left out."""
    ranges: dict[tuple[str, int], list[Ranges]] = {}
    for each in gaps:
        if len(each.ranges):
            ranges.setdefault((each.topic, each.partition), []).append(each.ranges)
    return [Gaps(*place, np.concatenate(found)) for place, found in ranges.items()]


def to_look_up(gaps: Sequence[Gaps], budget: int = LOOKED_UP) -> list[Block]:
    """Return which offsets are read from Kafka to learn what is in the gaps: all, or some from each of many."""
    some = [each for each in gaps if len(each.ranges)]
    share = max(BLOCKS, budget // max(1, len(some)))
    return [block for each in some for block in _some_of(each, share)]


def unread(gaps: Sequence[Gaps], read: Sequence[Block]) -> int:
    """Return how many offsets of the gaps are in none of the blocks, which do not overlap."""
    left = sum(each.offsets for each in gaps)
    by_place = {(each.topic, each.partition): each for each in gaps}
    for block in read:
        found = by_place.get((block.topic, block.partition))
        left -= found.within(block.begin, block.end).offsets if found else 0
    return left


def _some_of(gaps: Gaps, share: int) -> Iterator[Block]:
    begins, ends = gaps.ranges[:, 0], gaps.ranges[:, 1]
    cuts = np.flatnonzero(begins[1:] - ends[:-1] > NEIGHBOURS) + 1
    first, last = np.concatenate([[0], cuts]), np.concatenate([cuts, [len(begins)]]) - 1
    low, high = begins[first], ends[last]
    if int((high - low).sum()) > share or len(low) > BLOCKS:
        chosen = np.unique(np.linspace(0, len(low) - 1, min(BLOCKS, len(low))).astype(np.int64))
        low = low[chosen]
        high = np.minimum(high[chosen], low + share // len(chosen))
    for begin, end in zip(low.tolist(), high.tolist(), strict=True):
        yield Block(gaps.topic, gaps.partition, begin, end)
