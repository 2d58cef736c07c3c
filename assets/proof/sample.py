"""Which offsets of a segment are compared. Pure, and the same for the same hour however often it is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from keystone_platform.plan.hour_proof import Span

SAMPLE_OFFSETS = 100_000
"""An hour with so many offsets is compared whole; of a larger one about so many."""

BLOCKS = range(2, 5)
"""Of a partition: the first begins where the segment does, each other anywhere in its share of it."""

ALL_BLOCKS = 32
"""In all, as long as each partition has its least: each is a query of its own."""

LEAST_BLOCK = 100

WINDOW_OFFSETS = 500_000
"""Offsets that are compared at once: some 100 bytes each are held."""


@dataclass(frozen=True, order=True)
class Block:
    """Offsets of one partition, `begin` up to before `end`."""

    topic: str
    partition: int
    begin: int
    end: int

    @property
    def offsets(self) -> int:
        """How many."""
        return self.end - self.begin


Window = tuple[Block, ...]
"""Blocks that are read and compared together, at most one of a partition."""


def sampled(spans: Sequence[Span], seed: str, budget: int = SAMPLE_OFFSETS) -> tuple[Block, ...]:
    """Return blocks of about `budget` offsets in all, spread over each partition; all there is where that is less."""
    total = sum(span.offsets for span in spans)
    if total <= budget:
        return whole(spans)
    count = min(BLOCKS[-1], max(BLOCKS[0], ALL_BLOCKS // len(spans)))
    return tuple(block for span in spans for block in _blocks(span, budget * span.offsets // total, count, seed))


def whole(spans: Iterable[Span]) -> tuple[Block, ...]:
    """Return all offsets of the segment."""
    return tuple(Block(span.topic, span.partition, span.begin, span.end) for span in spans if span.offsets)


def joined(blocks: Iterable[Block], gap: int = 0) -> tuple[Block, ...]:
    """Return blocks with the same offsets that do not overlap; those at most `gap` apart become one."""
    found: list[Block] = []
    for block in sorted(block for block in blocks if block.offsets):
        last = found[-1] if found else None
        if last and (last.topic, last.partition) == (block.topic, block.partition) and block.begin <= last.end + gap:
            found[-1] = Block(block.topic, block.partition, last.begin, max(last.end, block.end))
        else:
            found.append(block)
    return tuple(found)


def windows(blocks: Sequence[Block], size: int = WINDOW_OFFSETS) -> Iterator[Window]:
    """Yield all the blocks, cut up so that a window has about `size` offsets at most; in order in each partition."""
    partitions: dict[tuple[str, int], list[Block]] = {}
    for block in blocks:
        partitions.setdefault((block.topic, block.partition), []).append(block)
    share = max(LEAST_BLOCK, size // max(1, len(partitions)))
    pieces = ([piece for block in found for piece in _cut(block, share)] for found in partitions.values())
    for round_ in zip_longest(*pieces):
        yield tuple(block for block in round_ if block)


def _blocks(span: Span, share: int, count: int, seed: str) -> Iterator[Block]:
    size = min(max(LEAST_BLOCK, share // count), -(-span.offsets // count))
    for number in range(count):
        low = span.begin + span.offsets * number // count
        high = span.begin + span.offsets * (number + 1) // count
        if low == high:
            continue
        room = max(0, high - low - size)
        begin = low + (_any(f"{seed}/{span.topic}/{span.partition}/{number}", room) if number else 0)
        yield Block(span.topic, span.partition, begin, min(begin + size, high))


def _any(seed: str, room: int) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]) % (room + 1)


def _cut(block: Block, size: int) -> Iterator[Block]:
    for begin in range(block.begin, block.end, size):
        yield Block(block.topic, block.partition, begin, min(begin + size, block.end))
