"""A filter's tree as SQL of the two engines: quoted identifiers, typed literals, every conversion spelled out.

Both texts mean the same; tests/contract/test_filter_engines.py runs them on the same rows in both engines.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import date, datetime

from keystone_platform.spec.filters.tree import (
    And,
    Call,
    Column,
    Comparison,
    Expr,
    Function,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Operator,
    Or,
    Widen,
)
from keystone_platform.spec.types import Scalar

_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SMALLEST_BIGINT = -(2**63)
_ZERO = Literal(0.0, Scalar.DOUBLE)


def flink_sql(expr: Expr) -> str:
    """Return the condition in Flink SQL over columns of the fields' names.

    A declared timestamp is a TIMESTAMP_LTZ(6) there, and the session's time zone (`table.local-time-zone`) UTC.
    """
    return _Flink().render(expr)


def duckdb_sql(expr: Expr) -> str:
    """Return the condition in DuckDB SQL over columns of the same names; a declared timestamp is a TIMESTAMPTZ."""
    return _DuckDb().render(expr)


class _Renderer(ABC):
    """What the engines have in common; every composed expression is in parentheses."""

    def render(self, expr: Expr) -> str:
        match expr:
            case Column(path):
                return self.column(path)
            case Literal():
                return self.literal(expr)
            case Widen(operand, type_):
                return f"CAST({self.render(operand)} AS {type_.upper()})"
            case Call():
                return self.call(expr)
            case Comparison():
                return self.comparison(expr)
            case In():
                return self.within(expr)
            case Like():
                return self.like(expr)
            case IsNull(operand):
                return f"({self.render(operand)} IS NULL)"
            case Not(operand):
                return f"(NOT {self.render(operand)})"
            case And(operands):
                return f"({' AND '.join(map(self.render, operands))})"
            case Or(operands):
                return f"({' OR '.join(map(self.render, operands))})"

    def call(self, expr: Call) -> str:
        arguments = ", ".join(map(self.render, expr.arguments))
        match expr.function:
            case Function.LOWER:
                return f"TRANSLATE({arguments}, '{_CAPITALS}', '{_CAPITALS.lower()}')"
            case Function.UPPER:
                return f"TRANSLATE({arguments}, '{_CAPITALS.lower()}', '{_CAPITALS}')"
            case Function.LENGTH:
                return f"CAST(CHAR_LENGTH({arguments}) AS BIGINT)"
            case Function.ABS if expr.type is Scalar.BIGINT:
                # one engine overflows silently and the other fails on the one number that has no absolute value
                return f"ABS(NULLIF({arguments}, {self.whole(_SMALLEST_BIGINT)}))"
            case Function.ABS:
                return f"ABS({arguments})"
            case Function.COALESCE:
                return f"COALESCE({arguments})"

    def literal(self, literal: Literal) -> str:
        match literal.value:
            case bool(value):
                return "TRUE" if value else "FALSE"
            case int(value):
                return self.whole(value)
            case float(value):
                return _double(value)
            case str(value):
                return self.string(value)
            case datetime() as moment:
                return self.timestamp(f"{moment:%H:%M:%S.%f}", moment.date())
            case date() as day:
                return f"DATE '{day.isoformat()}'"

    def whole(self, value: int) -> str:
        """Neither engine reads the smallest bigint as one: the digits without their sign are too large."""
        return f"({value + 1} - 1)" if value == _SMALLEST_BIGINT else str(value)

    def comparison(self, expr: Comparison) -> str:
        return f"({self.render(expr.left)} {expr.operator} {self.render(expr.right)})"

    def within(self, expr: In) -> str:
        return f"({self.render(expr.operand)} IN ({', '.join(map(self.render, expr.values))}))"

    def like(self, expr: Like) -> str:
        return f"({self.render(expr.operand)} LIKE {self.string(expr.pattern)})"

    def string(self, value: str) -> str:
        doubled = value.replace("'", "''")
        return f"'{doubled}'"

    @abstractmethod
    def column(self, path: tuple[str, ...]) -> str: ...

    @abstractmethod
    def timestamp(self, time: str, day: date) -> str: ...


class _Flink(_Renderer):
    def column(self, path: tuple[str, ...]) -> str:
        return ".".join(f"`{name}`" for name in path)

    def timestamp(self, time: str, day: date) -> str:
        return f"CAST(TIMESTAMP '{day.isoformat()} {time}' AS TIMESTAMP_LTZ(6))"

    def comparison(self, expr: Comparison) -> str:
        """Compare with zero by the absolute value.

        The planner joins `x = 0 OR x = 1` into a hash set, in which -0.0 is not 0.0 (seen with 2.3.0).
        """
        sides = [expr.left, expr.right]
        if expr.operator in (Operator.EQUAL, Operator.UNEQUAL) and _ZERO in sides:
            other = expr.left if expr.right == _ZERO else expr.right
            return f"(ABS({self.render(other)}) {expr.operator} {self.render(_ZERO)})"
        return super().comparison(expr)

    def within(self, expr: In) -> str:
        """Take zero out of the list, for the same reason."""
        if _ZERO not in expr.values:
            return super().within(expr)
        is_zero = self.comparison(Comparison(Operator.EQUAL, expr.operand, _ZERO))
        rest = tuple(value for value in expr.values if value != _ZERO)
        return f"({is_zero} OR {super().within(replace(expr, values=rest))})" if rest else is_zero

    def like(self, expr: Like) -> str:
        r"""Match `_` by a regular expression: LIKE takes it for any character but a line's end (seen with 2.3.0).

        `\A` and `\z` are the ends of the whole text. Each piece between two `%` is matched where it comes first and
        kept there (`(?>…)`), which is all LIKE needs and stays linear on long texts.
        """
        if "_" not in expr.pattern:
            return super().like(expr)
        first, *pieces = (_regex(piece) for piece in re.split("%+", expr.pattern))
        *middle, last = pieces or [""]
        rest = "".join(f"(?>.*?{piece})" for piece in middle) + (f".*{last}" if pieces else "")
        expression = self.string(rf"(?s)\A{first}{rest}\z")
        return f"REGEXP({self.render(expr.operand)}, {expression})"


class _DuckDb(_Renderer):
    def column(self, path: tuple[str, ...]) -> str:
        # parentheses: `"a"."b"` could as well be column b of a table a
        first, *rest = (f'"{name}"' for name in path)
        return ".".join([f"({first})", *rest]) if rest else first

    def timestamp(self, time: str, day: date) -> str:
        return f"TIMESTAMPTZ '{day.isoformat()} {time}+00'"


def _double(value: float) -> str:
    """Write a double so that it reads back as the same double, with the exponent that makes a literal one."""
    text = repr(value)
    return text.upper() if "e" in text else f"{text}E0"


def _regex(piece: str) -> str:
    """Write a piece of a LIKE pattern for Java's regular expressions; all but ASCII letters and digits by number."""
    return "".join(_regex_character(character) for character in piece)


def _regex_character(character: str) -> str:
    if character == "_":
        return "."
    is_plain = character.isascii() and character.isalnum()
    return character if is_plain else f"\\x{{{ord(character):X}}}"
