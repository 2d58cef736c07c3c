"""Which offsets are compared, and arithmetic on gaps, against sets."""

from __future__ import annotations

import random

import numpy as np
import pytest

from assets.proof.gaps import BLOCKS, Gaps, gaps_of, merged, to_look_up, unread, without
from assets.proof.sample import Block, joined, sampled, whole, windows
from keystone_platform.plan.hour_proof import Span


def offsets(blocks: list[Block] | tuple[Block, ...]) -> list[tuple[str, int, int]]:
    return [(block.topic, block.partition, offset) for block in blocks for offset in range(block.begin, block.end)]


def spans(*sizes: int, begin: int = 1000) -> list[Span]:
    return [Span(topic="t", partition=part, begin=begin, end=begin + size) for part, size in enumerate(sizes)]


def missing(gaps: Gaps) -> set[int]:
    return {offset for block in gaps.blocks() for offset in range(block.begin, block.end)}


@pytest.mark.parametrize("sizes", [(0, 1, 5), (100_000,), (3, 1_000_000), (250_000,) * 8, (1,) * 3000, (777_777, 3)])
def test_a_sample_is_in_the_segment_touches_each_partition_and_keeps_its_budget(sizes: tuple[int, ...]) -> None:
    segment = spans(*sizes)
    found = sampled(segment, "table/hour", budget=100_000)
    assert found == sampled(segment, "table/hour", budget=100_000)
    total = sum(block.offsets for block in found)
    assert total == sum(sizes) if sum(sizes) <= 100_000 else 90_000 <= total <= 101_000
    assert {block.partition for block in found} == {part for part, size in enumerate(sizes) if size}
    for block in found:
        assert segment[block.partition].begin <= block.begin < block.end <= segment[block.partition].end
    assert sum(block.offsets for block in joined(found)) == total, "no offset is read twice"


def test_another_hour_has_another_sample_and_the_segments_first_offset_is_always_in_it() -> None:
    one, two = (sampled(spans(10_000_000), seed) for seed in ("a", "b"))
    assert one != two
    assert one[0].begin == two[0].begin == 1000


def test_windows_hold_each_offset_once_and_are_bounded_with_one_block_of_a_partition_in_each() -> None:
    blocks = joined([*whole(spans(5000, 12, 70_000)), Block("t", 1, 1012, 1500), Block("u", 0, 5, 9)])
    found = list(windows(blocks, size=8000))
    flat = [block for window in found for block in window]
    assert sorted(offsets(flat)) == sorted(offsets(blocks))
    assert max(sum(block.offsets for block in window) for window in found) <= 8000
    for window in found:
        assert len({(block.topic, block.partition) for block in window}) == len(window)


def test_gaps_agree_with_sets_on_random_offsets() -> None:
    chance = random.Random(7)
    for _ in range(200):
        region = Block("t", 3, 50, 50 + chance.randrange(1, 40))
        seen = {offset for offset in range(region.begin, region.end) if chance.random() < 0.6}
        marks = np.array([offset in seen for offset in range(region.begin, region.end)], np.uint8)
        gaps = gaps_of(marks, region)
        assert missing(gaps) == set(range(region.begin, region.end)) - seen
        found = {chance.randrange(40, 100) for _ in range(5)}
        assert missing(without(gaps, np.array(sorted(found)))) == missing(gaps) - found
        assert missing(gaps.within(55, 70)) == missing(gaps) & set(range(55, 70))
        assert gaps.offsets == len(missing(gaps))


def test_gaps_of_one_partition_that_were_found_in_two_passes_are_one() -> None:
    halves = [gaps_of(np.zeros(3, np.uint8), Block("t", 0, low, low + 3)) for low in (0, 3)]
    (one,) = merged([*halves, gaps_of(np.ones(3, np.uint8), Block("t", 1, 0, 3))])
    assert missing(one) == set(range(6))


def test_few_gaps_are_all_looked_up_and_of_many_some_from_the_first_to_the_last() -> None:
    few = Gaps("t", 0, np.array([[10, 11], [5000, 5003], [900_000, 900_001]]))
    blocks = to_look_up([few])
    assert [(block.begin, block.end) for block in blocks] == [(10, 11), (5000, 5003), (900_000, 900_001)]
    assert unread([few], blocks) == 0
    many = Gaps("t", 0, np.array([[begin, begin + 1] for begin in range(0, 50_000_000, 5000)]))
    blocks = to_look_up([many])
    assert len(blocks) == BLOCKS
    assert (blocks[0].begin, blocks[-1].begin) == (0, 49_995_000)
    assert unread([many], joined(blocks)) == 10_000 - BLOCKS
    huge = Gaps("t", 0, np.array([[0, 30_000_000]]))
    (block,) = to_look_up([huge])
    assert unread([huge], [block]) == 30_000_000 - block.offsets > 0
