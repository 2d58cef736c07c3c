"""`cast(… as …)` where both engines agree on every value; what does not fit is null."""

from __future__ import annotations

import math

from sqlglot import exp

from keystone_platform.spec.filters.magnitude import magnitude
from keystone_platform.spec.filters.pattern import pattern
from keystone_platform.spec.filters.tree import (
    And,
    Case,
    Comparison,
    Convert,
    Expr,
    Literal,
    Matches,
    Not,
    Operator,
)
from keystone_platform.spec.filters.typing import NUMBERS, WHOLE, Mismatch, named, widened
from keystone_platform.spec.types import Scalar

TYPES = {
    exp.DType.TEXT: Scalar.STRING,
    exp.DType.VARCHAR: Scalar.STRING,
    exp.DType.INT: Scalar.INT,
    exp.DType.BIGINT: Scalar.BIGINT,
    exp.DType.DOUBLE: Scalar.DOUBLE,
    exp.DType.DATE: Scalar.DATE,
    exp.DType.TIMESTAMP: Scalar.TIMESTAMP,
}

_BITS = {Scalar.INT: 31, Scalar.BIGINT: 63}
_WHOLE_TEXT = pattern("^-?[0-9]{1,19}$")
_NUMBER_TEXT = pattern(r"^-?[0-9]{1,17}(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?$")


def cast(operand: Expr, type_: Scalar) -> Expr:
    """Return the operand in that type.

    Raises:
        Mismatch: there is no such conversion on which engines agree.
    """
    has = operand.type
    if has is type_:
        return operand
    if has in NUMBERS and type_ is Scalar.DOUBLE:
        return widened(operand, type_)
    if has in NUMBERS and type_ in WHOLE:
        return _to_whole(operand, type_)
    if has is Scalar.STRING and type_ in (*WHOLE, Scalar.DOUBLE):
        form = _NUMBER_TEXT if type_ is Scalar.DOUBLE else _WHOLE_TEXT
        return _where(Matches(operand, form), Convert(operand, type_))
    if has is Scalar.BOOLEAN and type_ is Scalar.STRING:
        texts = [Literal(text, type_) for text in ("true", "false")]
        return Case(((operand, texts[0]), (Not(operand), texts[1])), Literal(None, type_), type_)
    if (has in (*WHOLE, Scalar.DATE) and type_ is Scalar.STRING) or {has, type_} == {Scalar.DATE, Scalar.TIMESTAMP}:
        return Convert(operand, type_)
    message = f"{named(has)} can't be cast to {named(type_)}"
    mend = "Numbers become int, bigint, double; whole numbers, dates and booleans string; text a number; times a date."
    raise Mismatch(message, mend)


def _to_whole(operand: Expr, type_: Scalar) -> Expr:
    """Cut off the fraction; whole numbers to bigint need no more than widening."""
    if operand.type in WHOLE and type_ is Scalar.BIGINT:
        return widened(operand, type_)
    bound = 2.0 ** _BITS[type_]
    wide = operand if operand.type in WHOLE else widened(operand, Scalar.DOUBLE)
    if magnitude(wide) < bound:
        return Convert(wide, type_)
    if wide.type is Scalar.BIGINT:
        low, high = Literal(-int(bound), Scalar.BIGINT), Literal(int(bound) - 1, Scalar.BIGINT)
        fits = And((Comparison(Operator.AT_LEAST, wide, low), Comparison(Operator.AT_MOST, wide, high)))
        return _where(fits, Convert(wide, type_))
    # the fraction is cut off first, so anything above the number below the smallest one fits
    below = -bound - 1 if type_ is Scalar.INT else math.nextafter(-bound, -math.inf)
    limits = Literal(below, Scalar.DOUBLE), Literal(bound, Scalar.DOUBLE)
    fits = And((Comparison(Operator.MORE, wide, limits[0]), Comparison(Operator.LESS, wide, limits[1])))
    return _where(fits, Convert(wide, type_))


def _where(condition: Expr, value: Convert) -> Case:
    return Case(((condition, value),), Literal(None, value.type), value.type)
