"""How long a backtracking engine may take for a pattern, at worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keystone_platform.spec.filters.charset import overlap
from keystone_platform.spec.filters.pattern_tree import Atom, Group, exclude_each_other, is_possessive

MAX_TEXT = 1_000
"""Code points of the text that are looked at."""


@dataclass(frozen=True)
class Paths:
    """Ways in which an attempt can have come so far: to so many places of the text, in so many ways to each of them."""

    places: int = 1
    ways: int = 1

    @property
    def count(self) -> int:
        return self.places * self.ways

    def forked(self, lengths: int) -> Paths:
        """Return the paths when each goes on over so many lengths."""
        places = min(self.places * lengths, MAX_TEXT + 1)  # the end of the text is one as well
        return Paths(places, -(-self.count * lengths // places))


def cost(items: Sequence[Atom | Group], rest: Sequence[Atom | Group], paths: Paths) -> tuple[int, Paths]:
    """Return a bound of the characters that one attempt compares, and the paths when it is through."""
    steps = 0
    for index, item in enumerate(items):
        following = (*items[index + 1 :], *rest)
        if isinstance(item, Atom):
            steps += paths.count + _repetitions(item, items[index - 1] if index else None, paths)
            if not is_possessive(item, following):
                paths = paths.forked((MAX_TEXT if item.most is None else item.most) - item.least + 1)
        else:
            branches = [cost(branch, following, paths) for branch in item.branches]
            steps += paths.count * len(branches) + sum(each for each, _ in branches)
            places = max(each.places for _, each in branches)
            ways = [each.ways for _, each in branches]
            through = max(ways) if exclude_each_other(item.branches) else sum(ways)
            paths = Paths(places, through + (paths.ways if item.optional else 0))
    return steps, paths


def _repetitions(atom: Atom, before: Atom | Group | None, paths: Paths) -> int:
    """Return how many characters the atom's repetitions compare on all paths.

    Where the character before is none of the atom's, repetitions from two places don't overlap: all places together
    compare each character once.
    """
    if atom.most is not None and atom.most <= 1:
        return 0
    is_apart = isinstance(before, Atom) and before.least > 0 and not overlap(before.allowed, atom.allowed)
    longest = MAX_TEXT if atom.most is None else atom.most
    return paths.ways * min(MAX_TEXT, paths.places * longest) if is_apart else paths.count * longest
