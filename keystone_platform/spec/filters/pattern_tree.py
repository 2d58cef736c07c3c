"""What a pattern is made of, and what of it excludes what else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keystone_platform.spec.filters.charset import Ranges, merged, overlap


@dataclass(frozen=True)
class Atom:
    """A character of a set, between `least` and `most` times; None for any number."""

    allowed: Ranges
    least: int = 1
    most: int | None = 1


@dataclass(frozen=True)
class Group:
    """One of several sequences, or nothing when it is optional."""

    branches: tuple[Items, ...]
    optional: bool = False


Items = tuple[Atom | Group, ...]


@dataclass(frozen=True)
class Branch:
    """One way to match, from the text's start or to its end where it says so."""

    items: Items
    from_start: bool
    to_end: bool


def first(items: Sequence[Atom | Group]) -> Ranges:
    """Return the characters that the sequence may begin with."""
    found: list[tuple[int, int]] = []
    for item in items:
        if isinstance(item, Atom):
            found += item.allowed
            if item.least:
                break
        else:
            found += [each for branch in item.branches for each in first(branch)]
            if not may_be_empty((item,)):
                break
    return merged(found)


def may_be_empty(items: Sequence[Atom | Group]) -> bool:
    """Whether the sequence matches the empty text."""
    return all(
        item.least == 0 if isinstance(item, Atom) else item.optional or any(map(may_be_empty, item.branches))
        for item in items
    )


def is_possessive(atom: Atom, rest: Sequence[Atom | Group]) -> bool:
    """Whether no match is lost when the atom never gives a character back.

    `rest` is all that follows up to the pattern's end. An end of the text follows no character that was given back,
    and a pattern that ends matches whatever follows.
    """
    return atom.least != atom.most and not overlap(atom.allowed, first(rest))


def exclude_each_other(branches: Sequence[Items]) -> bool:
    """Whether no two of the sequences can match at the same place, by the characters that they begin with."""
    return not any(_may_both(one, other) for index, one in enumerate(branches) for other in branches[:index])


def _may_both(one: Items, other: Items) -> bool:
    for left, right in zip(one, other, strict=False):
        if not all(isinstance(each, Atom) and each.least == each.most == 1 for each in (left, right)):
            return True
        if isinstance(left, Atom) and isinstance(right, Atom) and not overlap(left.allowed, right.allowed):
            return False
    return True
