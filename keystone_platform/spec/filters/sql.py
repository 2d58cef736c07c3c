"""A tree as SQL, as far as engines agree: quoted identifiers, typed literals, every conversion spelled out.

Both engines' texts mean the same; tests/contract/test_filter_engines.py runs them on the same rows in both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import date, datetime

from keystone_platform.spec.filters.magnitude import LIMITS
from keystone_platform.spec.filters.tree import (
    And,
    Call,
    Case,
    Column,
    Comparison,
    Convert,
    Expr,
    Function,
    In,
    InRange,
    IsNull,
    Like,
    Literal,
    Matches,
    Math,
    MathOperator,
    Not,
    Or,
    Shift,
    Widen,
)
from keystone_platform.spec.types import Scalar

_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SMALLEST_BIGINT = -(2**63)
_LARGEST_DOUBLE = "1.7976931348623157E308"

_SUMS = (MathOperator.ADD, MathOperator.SUBTRACT)


class Renderer(ABC):
    """What the engines have in common; every composed expression is in parentheses."""

    def render(self, expr: Expr) -> str:
        """Return the node as SQL."""
        match expr:
            case Column(path):
                return self.column(path)
            case Literal():
                return self.literal(expr)
            case Widen(operand, type_):
                return f"CAST({self.render(operand)} AS {type_.upper()})"
            case Convert():
                return self.convert(expr)
            case Math():
                return self.math(expr)
            case InRange(operand, type_):
                return self.in_range(operand, type_)
            case Shift():
                return self.shift(expr)
            case Case():
                return self.case(expr)
            case Matches():
                return self.matches(expr)
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
            case Function.SIZE:
                return f"CAST({self.named_otherwise(expr.function, arguments)} AS BIGINT)"
            case Function.ABS if expr.type is Scalar.BIGINT:
                # one engine overflows silently and the other fails on the one number that has no absolute value
                return f"ABS(NULLIF({arguments}, {self.whole(_SMALLEST_BIGINT)}))"
            case Function.TRIM | Function.LTRIM | Function.RTRIM:
                side = {Function.TRIM: "BOTH", Function.LTRIM: "LEADING", Function.RTRIM: "TRAILING"}[expr.function]
                return f"TRIM({side} ' ' FROM {arguments})"
            case Function.CONCAT:
                return f"({' || '.join(map(self.render, expr.arguments))})"
            case Function.ABS | Function.COALESCE | Function.SUBSTRING | Function.FLOOR | Function.CEIL:
                return f"{expr.function.upper()}({arguments})"
            case Function.STARTS_WITH | Function.ENDS_WITH | Function.CONTAINS | Function.HAS | Function.ROUND:
                return self.named_otherwise(expr.function, arguments)

    def case(self, expr: Case) -> str:
        branches = (f"WHEN {self.render(condition)} THEN {self.render(value)}" for condition, value in expr.branches)
        return f"(CASE {' '.join(branches)} ELSE {self.render(expr.default)} END)"

    def math(self, expr: Math) -> str:
        """Return arithmetic whose result fits; whole numbers are BIGINT from the first step on."""
        if expr.type is Scalar.DOUBLE:
            return f"({self.render(expr.left)} {expr.operator} {self.render(expr.right)})"
        return self._whole_math(expr, self._as_bigint)

    def in_range(self, expr: Math, type_: Scalar) -> str:
        """Return arithmetic whose result may not fit, guarded: of whole numbers by what it is about, in doubles.

        A sum of at most a few thousand BIGINTs, or one product, is in doubles closer to the truth than the guard is to
        the largest BIGINT.
        """
        if type_ is Scalar.DOUBLE:
            return f"(CASE WHEN ABS({self.math(expr)}) <= {_LARGEST_DOUBLE} THEN {self.math(expr)} END)"
        about = self._roughly(expr)
        return f"(CASE WHEN ABS({about}) < {_double(LIMITS[Scalar.BIGINT])} THEN {self.unchecked(expr)} END)"

    def _whole_math(self, expr: Math, operand: Callable[[Expr], str]) -> str:
        if expr.operator is MathOperator.MODULO:
            return self.modulo(expr)
        sides = (
            self._whole_math(side, operand) if isinstance(side, Math) else operand(side)
            for side in (expr.left, expr.right)
        )
        return f"({f' {expr.operator} '.join(sides)})"

    def _as_bigint(self, expr: Expr) -> str:
        """Return a whole number that is certainly a BIGINT; a literal, and what is made of some, may be an INT."""
        is_sure = isinstance(expr, Column | Widen | Math | InRange)
        return self.render(expr) if is_sure else f"CAST({self.render(expr)} AS BIGINT)"

    def _roughly(self, expr: Expr) -> str:
        if isinstance(expr, Math) and expr.operator in (*_SUMS, MathOperator.MULTIPLY):
            return f"({self._roughly(expr.left)} {expr.operator} {self._roughly(expr.right)})"
        return f"CAST({self.render(expr)} AS DOUBLE)"

    def literal(self, literal: Literal) -> str:
        match literal.value:
            case None:
                return self.null(literal.type)
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

    @abstractmethod
    def null(self, type_: Scalar) -> str: ...

    @abstractmethod
    def convert(self, expr: Convert) -> str: ...

    @abstractmethod
    def unchecked(self, expr: Math) -> str:
        """Return arithmetic of whole numbers, right where the guard around it finds that it fits; it never fails."""

    @abstractmethod
    def modulo(self, expr: Math) -> str: ...

    @abstractmethod
    def shift(self, expr: Shift) -> str: ...

    @abstractmethod
    def matches(self, expr: Matches) -> str: ...

    @abstractmethod
    def named_otherwise(self, function: Function, arguments: str) -> str:
        """Return the call of a function that each engine names in its own way."""


def _double(value: float) -> str:
    """Write a double so that it reads back as the same double, with the exponent that makes a literal one."""
    text = repr(value)
    return text.upper() if "e" in text else f"{text}E0"
