"""How large numbers can get: where a result can't be beyond its type, no engine has to look."""

from __future__ import annotations

import math

from keystone_platform.spec.filters.tree import (
    Call,
    Case,
    Column,
    Convert,
    Expr,
    Function,
    InRange,
    Literal,
    Math,
    MathOperator,
    Widen,
)
from keystone_platform.spec.types import Scalar

LIMITS: dict[Scalar, float] = {Scalar.BIGINT: 9.2e18, Scalar.DOUBLE: 1e308}
"""Absolute values below these are certainly in the type, whatever roundings there were on the way."""

_LARGEST: dict[Scalar, float] = {
    Scalar.INT: 2.0**31,
    Scalar.BIGINT: 2.0**63,
    Scalar.FLOAT: 3.5e38,
    Scalar.DOUBLE: math.inf,
}
_LONGEST_TEXT = 2.0**31


def magnitude(expr: Expr) -> float:
    """Return a bound of the absolute value of a number; infinity where none is known."""
    match expr:
        case Literal(int() | float() as value):
            return abs(float(value))
        case Literal():
            return 0.0
        case Widen(operand):
            return magnitude(operand)
        case Math(operator, left, right):
            return _of_math(operator, left, right)
        case Convert(operand, type_) if operand.type is not Scalar.STRING:
            return min(magnitude(operand), _LARGEST[type_])
        case InRange(operand, type_):
            return min(magnitude(operand), _LARGEST[type_])
        case Case(branches, default):
            return max(magnitude(value) for value in (*(value for _, value in branches), default))
        case Call(function, arguments) if function in (Function.COALESCE, Function.ABS):
            return max(map(magnitude, arguments))
        case Call(function, arguments) if function in (Function.ROUND, Function.FLOOR, Function.CEIL):
            return magnitude(arguments[0]) + 1
        case Call(Function.LENGTH | Function.SIZE):
            return _LONGEST_TEXT
        case Column(_, Scalar() as type_) | Convert(_, type_):
            return _LARGEST[type_]
        case _:
            return math.inf


def _of_math(operator: MathOperator, left: Expr, right: Expr) -> float:
    one, other = magnitude(left), magnitude(right)
    match operator:
        case MathOperator.ADD | MathOperator.SUBTRACT:
            return one + other
        case MathOperator.MULTIPLY:
            return 0.0 if 0.0 in (one, other) else one * other
        case MathOperator.MODULO:
            return min(one, other)
        case MathOperator.DIVIDE:
            return one / _least(right)


def _least(divisor: Expr) -> float:
    """Return a bound from below of the absolute value of a divisor, which is not zero."""
    match divisor:
        case Literal(int() | float() as value) if value:
            return abs(float(value))
        case Widen(operand) if operand.type in (Scalar.INT, Scalar.BIGINT):
            return 1.0
        case Case(((_, value),), Literal(None)):  # zero taken out
            return _least(value)
        case _:
            return math.ulp(0.0)
