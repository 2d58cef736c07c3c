"""Arithmetic that gives the same in every engine and never fails: what has no result is null."""

from __future__ import annotations

from keystone_platform.spec.filters.magnitude import LIMITS, magnitude
from keystone_platform.spec.filters.tree import (
    Call,
    Case,
    Comparison,
    Expr,
    Function,
    InRange,
    Literal,
    Math,
    MathOperator,
    Operator,
)
from keystone_platform.spec.filters.typing import NUMBERS, WHOLE, Mismatch, named, widened
from keystone_platform.spec.types import Scalar

MAX_DECIMALS = 6
"""Of `round(x, n)`."""

_SUMS = (MathOperator.ADD, MathOperator.SUBTRACT)


def arithmetic(operator: MathOperator, left: Expr, right: Expr) -> Expr:
    """Return left and right by the operator: a BIGINT of two whole numbers, a DOUBLE otherwise and of DIVIDE always.

    Null where a side is null, where the right side of DIVIDE or MODULO is zero, and as `InRange` says.

    Raises:
        Mismatch: a side is no number, or not whole where it has to be.
    """
    for side in (left, right):
        if side.type not in NUMBERS:
            message = f"`{operator}` takes numbers, and this is {named(side.type)}"
            mend = "Texts are joined by ||, times are moved by + interval '1' hour."
            raise Mismatch(message, mend)
    is_whole = left.type in WHOLE and right.type in WHOLE
    if operator is MathOperator.MODULO and not is_whole:
        message = "`%` takes whole numbers"
        raise Mismatch(message, "Use cast(… as bigint).")
    type_ = Scalar.BIGINT if is_whole and operator is not MathOperator.DIVIDE else Scalar.DOUBLE
    left, right = widened(left, type_), widened(right, type_)
    if operator in _SUMS and _is_zero(right):
        return left  # an engine may leave it out or not, and -0.0 would tell which
    if operator is MathOperator.ADD and _is_zero(left):
        return right
    if operator in _SUMS:
        left, right = _unguarded(left), _unguarded(right)
    if operator in (MathOperator.DIVIDE, MathOperator.MODULO):
        right = _not_zero(right)
    result = Math(operator, left, right, type_)
    fits = operator is MathOperator.MODULO or magnitude(result) < LIMITS[type_]
    return result if fits else InRange(result, type_)


def negative(operand: Expr) -> Expr:
    """Return zero minus the operand."""
    return arithmetic(MathOperator.SUBTRACT, Literal(0, Scalar.INT), operand)


def rounded(operand: Expr, decimals: int) -> Expr:
    """Return a number rounded to so many digits after the point; a whole number is what it is."""
    if operand.type in WHOLE:
        return operand
    operand = widened(operand, Scalar.DOUBLE)
    if not decimals:
        return Call(Function.ROUND, (operand,), Scalar.DOUBLE)
    scale = Literal(10**decimals, Scalar.INT)
    whole = Call(Function.ROUND, (arithmetic(MathOperator.MULTIPLY, operand, scale),), Scalar.DOUBLE)
    return arithmetic(MathOperator.DIVIDE, whole, scale)


def _is_zero(expr: Expr) -> bool:
    return isinstance(expr, Literal) and expr.value == 0


def _unguarded(expr: Expr) -> Expr:
    """Take the guard off a sum that becomes part of a larger one, which is guarded itself."""
    return expr.operand if isinstance(expr, InRange) and expr.operand.operator in _SUMS else expr


def _not_zero(divisor: Expr) -> Expr:
    if not isinstance(divisor, Literal):
        zero = widened(Literal(0, Scalar.INT), _number_type(divisor))
        is_other = Comparison(Operator.UNEQUAL, divisor, zero)
        return Case(((is_other, divisor),), Literal(None, _number_type(divisor)), _number_type(divisor))
    if divisor.value == 0:
        message = "a division by zero"
        raise Mismatch(message, "Divide by something else.")
    return divisor


def _number_type(expr: Expr) -> Scalar:
    return Scalar.BIGINT if expr.type is Scalar.BIGINT else Scalar.DOUBLE
