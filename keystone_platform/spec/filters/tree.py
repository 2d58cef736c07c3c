"""The typed tree of a filter: the only thing that is ever rendered to an engine's SQL.

Every node's type is known and every conversion is a node (`Widen`), so that no engine has to guess one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from keystone_platform.spec.types import FieldType, Scalar


class Operator(StrEnum):
    """A comparison, as both engines write it."""

    EQUAL = "="
    UNEQUAL = "<>"
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


class Function(StrEnum):
    """A function of the language."""

    LOWER = "lower"
    """A to Z become a to z and nothing else changes: beyond ASCII the engines and their locales disagree."""
    UPPER = "upper"
    """The reverse of LOWER, for a to z."""
    LENGTH = "length"
    """Unicode code points."""
    ABS = "abs"
    """Of whole numbers a bigint; null for the smallest bigint, whose absolute value is none."""
    COALESCE = "coalesce"
    """The first argument that is not null."""


@dataclass(frozen=True)
class Column:
    """A field of the event; null where it or an object around it is missing."""

    path: tuple[str, ...]
    type: FieldType


@dataclass(frozen=True)
class Literal:
    """A value. A timestamp's is in UTC; a number's is int for INT and BIGINT, float for FLOAT and DOUBLE."""

    value: str | bool | int | float | date | datetime
    type: Scalar


@dataclass(frozen=True)
class Widen:
    """A number in a wider type."""

    operand: Expr
    type: Scalar


@dataclass(frozen=True)
class Call:
    """A function of arguments that have one common type."""

    function: Function
    arguments: tuple[Expr, ...]
    type: Scalar


@dataclass(frozen=True)
class Comparison:
    """Two values of one type; null when either is."""

    operator: Operator
    left: Expr
    right: Expr
    type: Scalar = Scalar.BOOLEAN


@dataclass(frozen=True)
class In:
    """Whether the operand is one of the values, which have its type and are at least one; null for null."""

    operand: Expr
    values: tuple[Literal, ...]
    type: Scalar = Scalar.BOOLEAN


@dataclass(frozen=True)
class Like:
    """Whether the text matches: `%` stands for any characters, `_` for one code point, all else for itself."""

    operand: Expr
    pattern: str
    type: Scalar = Scalar.BOOLEAN


@dataclass(frozen=True)
class IsNull:
    """Whether the value is missing; never null."""

    operand: Expr
    type: Scalar = Scalar.BOOLEAN


@dataclass(frozen=True)
class Not:
    """Negation; null for null."""

    operand: Expr
    type: Scalar = Scalar.BOOLEAN


@dataclass(frozen=True)
class And:
    """At least two conditions, by SQL's three-valued logic."""

    operands: tuple[Expr, ...]
    type: Scalar = Scalar.BOOLEAN


@dataclass(frozen=True)
class Or:
    """At least two conditions, by SQL's three-valued logic."""

    operands: tuple[Expr, ...]
    type: Scalar = Scalar.BOOLEAN


Expr = Column | Literal | Widen | Call | Comparison | In | Like | IsNull | Not | And | Or


def children(expr: Expr) -> tuple[Expr, ...]:
    """Return the node's direct operands, left to right."""
    match expr:
        case Column() | Literal():
            return ()
        case Widen(operand) | Like(operand) | IsNull(operand) | Not(operand):
            return (operand,)
        case Call(_, operands) | And(operands) | Or(operands):
            return operands
        case Comparison(_, left, right):
            return (left, right)
        case In(operand, values):
            return (operand, *values)


def walk(expr: Expr) -> Iterator[Expr]:
    """Yield the node and everything below it."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def field_paths(expr: Expr) -> frozenset[tuple[str, ...]]:
    """Return the event's fields that the tree reads."""
    return frozenset(node.path for node in walk(expr) if isinstance(node, Column))
