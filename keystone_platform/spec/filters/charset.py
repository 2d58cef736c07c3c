"""Sets of code points."""

from __future__ import annotations

from collections.abc import Iterable

_LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)

Ranges = tuple[tuple[int, int], ...]
"""A set of code points: sorted, disjoint, both ends included."""


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return the set of all these."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def without(excluded: Ranges) -> Ranges:
    """Return all other characters; a half of a surrogate pair is none."""
    left, low = [], 0
    for first, last in merged((*excluded, _SURROGATES)):
        if low < first:
            left.append((low, first - 1))
        low = last + 1
    return (*left, (low, _LAST)) if low <= _LAST else tuple(left)


def overlap(one: Ranges, other: Ranges) -> bool:
    """Whether the sets have a code point in common."""
    return any(low <= high2 and low2 <= high for low, high in one for low2, high2 in other)
