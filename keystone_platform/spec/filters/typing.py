"""Which types meet: numbers widen to numbers, everything else meets its own kind only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from keystone_platform.spec.filters.tree import Expr, Literal, Widen
from keystone_platform.spec.types import Array, FieldType, Scalar, Struct

WHOLE = (Scalar.INT, Scalar.BIGINT)
NUMBERS = (*WHOLE, Scalar.FLOAT, Scalar.DOUBLE)
TIMES = (Scalar.DATE, Scalar.TIMESTAMP)

INT_RANGE = range(-(2**31), 2**31)
BIGINT_RANGE = range(-(2**63), 2**63)

TIMESTAMP_FORM = "timestamp '2026-01-31 13:00:00'"
DATE_FORM = "date '2026-01-31'"


class Mismatch(Exception):
    """Two types don't meet. Caught where the place in the text is known.

    Attributes:
        what: what is wrong.
        mend: what to write instead.
    """

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


def named(type_: FieldType) -> str:
    """Name a type in an error."""
    if isinstance(type_, Struct):
        return "an object"
    return f"an {type_}" if isinstance(type_, Array) or type_ is Scalar.INT else f"a {type_}"


def common_type(left: FieldType, right: FieldType) -> Scalar:
    """Return the type in which both are compared.

    Two whole numbers meet in bigint, any other two different kinds of number in double: exact for what a double
    can hold, the same in every engine.

    Raises:
        Mismatch: they don't meet.
    """
    if isinstance(left, Struct) or isinstance(right, Struct):
        message = "an object has no value of its own"
        raise Mismatch(message, "Name one of its fields, as in device.type.")
    if isinstance(left, Array) or isinstance(right, Array):
        message = "an array has no value of its own"
        raise Mismatch(message, "Ask what is in it: contains(tags, 'x').")
    if left is right:
        return left
    if left in NUMBERS and right in NUMBERS:
        return Scalar.BIGINT if left in WHOLE and right in WHOLE else Scalar.DOUBLE
    message = f"{named(left)} can't be compared with {named(right)}"
    raise Mismatch(message, _mend({left, right}))


def met(operands: Sequence[Expr]) -> tuple[tuple[Expr, ...], Scalar]:
    """Bring the operands to their one common type; returns them and it.

    Raises:
        Mismatch: they have none.
    """
    type_ = common_type(operands[0].type, operands[0].type)
    for operand in operands[1:]:
        type_ = common_type(type_, operand.type)
    return tuple(widened(operand, type_) for operand in operands), type_


def widened(expr: Expr, type_: Scalar) -> Expr:
    """Return the expression in that type, which `common_type` gave."""
    if expr.type is type_:
        return expr
    if isinstance(expr, Literal) and isinstance(expr.value, int | None):
        is_double = type_ is Scalar.DOUBLE and expr.value is not None
        return replace(expr, value=float(expr.value or 0) if is_double else expr.value, type=type_)
    return Widen(expr, type_)


def _mend(types: set[Scalar]) -> str:
    if Scalar.TIMESTAMP in types:
        return f"Write a point in time as {TIMESTAMP_FORM} (UTC)."
    if Scalar.DATE in types:
        return f"Write a date as {DATE_FORM}."
    if Scalar.BOOLEAN in types:
        return "Write a boolean as true or false, without quotes."
    return "Write text in single quotes, numbers without quotes."
