"""The typed tree of a filter or a computed value: the only thing that is ever rendered to an engine's SQL.

Every node's type is known and every conversion is a node (`Widen`), so that no engine has to guess one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from keystone_platform.spec.filters.pattern import Pattern
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
    TRIM = "trim"
    """Without the spaces (U+0020) at both ends; LTRIM at the front, RTRIM at the end."""
    LTRIM = "ltrim"
    RTRIM = "rtrim"
    SUBSTRING = "substring"
    """From a code point, the first is 1, on; so many of them where a third argument says so. Both are literals."""
    CONCAT = "concat"
    """One text after the other; null when one is null."""
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    CONTAINS = "contains"
    """Whether the second text is in the first one; the empty text is in each."""
    HAS = "has"
    """Whether an array has an element that equals the second argument, which is not null; null elements equal none."""
    SIZE = "size"
    """How many elements an array has, nulls included."""
    FLOOR = "floor"
    CEIL = "ceil"
    ROUND = "round"
    """To the nearest whole number, halves away from zero, never -0.0."""


class MathOperator(StrEnum):
    """Arithmetic, as both engines write it but for MODULO."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    MODULO = "%"
    """The remainder, with the sign of the left side."""


@dataclass(frozen=True)
class Column:
    """A field of the event; null where it or an object around it is missing."""

    path: tuple[str, ...]
    type: FieldType


@dataclass(frozen=True)
class Literal:
    """A value, or null. A timestamp's is in UTC; a number's is int for INT and BIGINT, float for FLOAT and DOUBLE."""

    value: str | bool | int | float | date | datetime | None
    type: Scalar


@dataclass(frozen=True)
class Widen:
    """A number in a wider type."""

    operand: Expr
    type: Scalar


@dataclass(frozen=True)
class Convert:
    """A value in another type, which can hold it: what is around it sees to that. A fraction is cut off."""

    operand: Expr
    type: Scalar


@dataclass(frozen=True)
class Math:
    """Two numbers of the node's type, BIGINT or DOUBLE; the right side of DIVIDE and MODULO is never zero.

    Where the result of BIGINTs may be beyond their range an `InRange` is around it, directly or around the sum that it
    is part of: until then, only the remainder by 2^64 counts.
    """

    operator: MathOperator
    left: Expr
    right: Expr
    type: Scalar


@dataclass(frozen=True)
class InRange:
    """The result of arithmetic; null where a BIGINT is not within ±9.2e18, a DOUBLE not finite."""

    operand: Math
    type: Scalar


@dataclass(frozen=True)
class Shift:
    """A TIMESTAMP moved by seconds, a DATE by days; what is around it keeps it within the years 1 to 9999."""

    operand: Expr
    amount: int
    type: Scalar


@dataclass(frozen=True)
class Case:
    """The value of the first condition that is true, else the default; all values have the node's type."""

    branches: tuple[tuple[Expr, Expr], ...]
    default: Expr
    type: Scalar


@dataclass(frozen=True)
class Matches:
    """Whether the pattern is found in the text's first MAX_TEXT code points."""

    operand: Expr
    pattern: Pattern
    type: Scalar = Scalar.BOOLEAN


@dataclass(frozen=True)
class Call:
    """A function."""

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


Expr = (
    Column
    | Literal
    | Widen
    | Convert
    | Math
    | InRange
    | Shift
    | Case
    | Matches
    | Call
    | Comparison
    | In
    | Like
    | IsNull
    | Not
    | And
    | Or
)


def children(expr: Expr) -> tuple[Expr, ...]:
    """Return the node's direct operands, left to right."""
    match expr:
        case Column() | Literal():
            return ()
        case (
            Widen(operand)
            | Convert(operand)
            | InRange(operand)
            | Shift(operand)
            | Matches(operand)
            | Like(operand)
            | IsNull(operand)
            | Not(operand)
        ):
            return (operand,)
        case Case(branches, default):
            return (*(part for branch in branches for part in branch), default)
        case Call(_, operands) | And(operands) | Or(operands):
            return operands
        case Comparison(_, left, right) | Math(_, left, right):
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
