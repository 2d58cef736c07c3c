"""What keeps a tree small: its depth, its size as it is rendered, and what it may cost an event."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from keystone_platform.spec.filters.pattern import MAX_STEPS
from keystone_platform.spec.filters.tree import Call, Column, Expr, Function, InRange, Matches, children
from keystone_platform.spec.filters.typing import Mismatch
from keystone_platform.spec.types import Scalar

MAX_DEPTH = 64
"""Nodes from the root to a leaf; a chain of `and`, of `or` or of `||` counts once."""

MAX_NODES = 2_500
"""Nodes as they are rendered."""

MAX_TEXTS = 8
"""Fields whose texts one expression may join: an event of 10 MB becomes no text of gigabytes."""


class Bounds:
    """Measures the nodes of one tree as they are made, each once, although trees share parts."""

    def __init__(self) -> None:
        self._depth = 0
        self._measured: dict[int, tuple[int, int, int]] = {}
        self._kept: list[Expr] = []  # so that no other node gets the id of one that was measured

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Count a level while its node is made."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"nested more than {MAX_DEPTH} deep"
            raise Mismatch(message, "Write it flatter.")
        try:
            yield
        finally:
            self._depth -= 1

    def checked(self, expr: Expr) -> Expr:
        """Return the node.

        Raises:
            Mismatch: it is too large.
        """
        nodes, texts, steps = self._measure(expr)
        if nodes > MAX_NODES:
            message = f"more than {MAX_NODES} operations, some of them checks of what goes before"
            raise Mismatch(message, "Write it shorter; avoid arithmetic of arithmetic and nullif of long expressions.")
        if texts > MAX_TEXTS:
            message = f"the texts of more than {MAX_TEXTS} fields joined into one"
            raise Mismatch(message, "Join fewer.")
        if steps > MAX_STEPS:
            message = "patterns that may take too long together"
            raise Mismatch(message, "Begin them with ^, repeat narrower sets, or use fewer.")
        return expr

    def _measure(self, expr: Expr) -> tuple[int, int, int]:
        """Return how many nodes are rendered, how many texts of fields a value may hold, and the patterns' steps."""
        known = self._measured.get(id(expr))
        if known:
            return known
        parts = [self._measure(child) for child in children(expr)]
        times = 2 if isinstance(expr, InRange) else 1
        nodes = 1 + times * sum(part[0] for part in parts)
        texts = [part[1] for part in parts]
        joined = sum(texts) if isinstance(expr, Call) and expr.function is Function.CONCAT else max(texts, default=0)
        if isinstance(expr, Column) and expr.type is Scalar.STRING:
            joined = 1
        steps = sum(part[2] for part in parts) + (expr.pattern.steps if isinstance(expr, Matches) else 0)
        self._kept.append(expr)
        self._measured[id(expr)] = (nodes, joined, steps)
        return self._measured[id(expr)]
