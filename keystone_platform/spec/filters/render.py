"""A filter's tree as SQL of the two engines: quoted identifiers, typed literals, every conversion spelled out.

Both texts mean the same; tests/contract/test_filter_engines.py runs them on the same rows in both engines.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
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
    Or,
    Widen,
)
from keystone_platform.spec.types import Scalar

_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SMALLEST_BIGINT = -(2**63)


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
            case Comparison(operator, left, right):
                return f"({self.render(left)} {operator} {self.render(right)})"
            case In(operand, values):
                return f"({self.render(operand)} IN ({', '.join(map(self.render, values))}))"
            case Like(operand, pattern):
                return self.like(self.render(operand), pattern)
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

    @abstractmethod
    def column(self, path: tuple[str, ...]) -> str: ...

    @abstractmethod
    def string(self, value: str) -> str: ...

    @abstractmethod
    def timestamp(self, time: str, day: date) -> str: ...

    @abstractmethod
    def like(self, operand: str, pattern: str) -> str: ...


class _Flink(_Renderer):
    def column(self, path: tuple[str, ...]) -> str:
        return ".".join(f"`{name}`" for name in path)

    def string(self, value: str) -> str:
        return f"'{_doubled(value)}'"

    def timestamp(self, time: str, day: date) -> str:
        return f"CAST(TIMESTAMP '{day.isoformat()} {time}' AS TIMESTAMP_LTZ(6))"

    def like(self, operand: str, pattern: str) -> str:
        return f"({operand} LIKE {self.string(pattern)})"


class _DuckDb(_Renderer):
    def column(self, path: tuple[str, ...]) -> str:
        # parentheses: `"a"."b"` could as well be column b of a table a
        first, *rest = (f'"{name}"' for name in path)
        return ".".join([f"({first})", *rest]) if rest else first

    def string(self, value: str) -> str:
        return f"'{_doubled(value)}'"

    def timestamp(self, time: str, day: date) -> str:
        return f"TIMESTAMPTZ '{day.isoformat()} {time}+00'"

    def like(self, operand: str, pattern: str) -> str:
        return f"({operand} LIKE {self.string(pattern)})"


def _double(value: float) -> str:
    """Write a double so that it reads back as the same double, with the exponent that makes a literal one."""
    text = repr(value)
    return text.upper() if "e" in text else f"{text}E0"


def _doubled(value: str) -> str:
    return value.replace("'", "''")
