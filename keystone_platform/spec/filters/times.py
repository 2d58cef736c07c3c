"""Times moved by intervals. An interval is a fixed number of seconds: a day has 24 hours, as days in UTC have."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from sqlglot import exp

from keystone_platform.spec.filters.tree import Case, Comparison, Expr, Literal, Operator, Shift
from keystone_platform.spec.filters.typing import TIMES, Mismatch, named
from keystone_platform.spec.types import Scalar

INTERVAL_FORM = "interval '1' hour"

_UNITS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3_600, "DAY": 86_400, "WEEK": 604_800}
_DAY = _UNITS["DAY"]
_AMOUNT = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def seconds(node: exp.Interval) -> int:
    """Return an interval's seconds.

    Raises:
        Mismatch: it is not a whole number of seconds, minutes, hours, days or weeks.
    """
    amount, unit = node.args.get("this"), node.args.get("unit")
    name = str(unit.this).upper().removesuffix("S") if type(unit) is exp.Var else ""
    text = str(amount.this) if type(amount) is exp.Literal else ""
    if name not in _UNITS or not _AMOUNT.fullmatch(text):
        message = "an interval that is none"
        raise Mismatch(
            message, f"Write {INTERVAL_FORM}; units are {', '.join(_UNITS).lower()}; months differ in length."
        )
    return int(text) * _UNITS[name]


def shifted(operand: Expr, by: int) -> Expr:
    """Return a time moved by so many seconds; null where that is outside of the years 1 to 9999.

    Raises:
        Mismatch: no time, or a date and not a whole number of days.
    """
    if operand.type not in TIMES:
        message = f"an interval is added to a time, and this is {named(operand.type)}"
        raise Mismatch(message, "Name a timestamp or a date.")
    is_date = operand.type is Scalar.DATE
    if is_date and by % _DAY:
        message = "a date is moved by whole days"
        raise Mismatch(message, "Use cast(… as timestamp).")
    span = _span(by)
    if isinstance(operand, Literal):
        return _moved(operand, span)
    edge = (_LAST if by > 0 else _FIRST) - span
    operator = Operator.AT_MOST if by > 0 else Operator.AT_LEAST
    type_ = Scalar.DATE if is_date else Scalar.TIMESTAMP
    limit = Literal(edge.date() if is_date else edge, type_)
    moved = Shift(operand, by // _DAY if is_date else by, type_)
    return Case(((Comparison(operator, operand, limit), moved),), Literal(None, type_), type_)


def _span(by: int) -> timedelta:
    span = timedelta(seconds=by)
    if abs(span) >= _LAST - _FIRST:
        message = "an interval of more than 9998 years"
        raise Mismatch(message, f"Write a shorter one, such as {INTERVAL_FORM}.")
    return span


def _moved(time: Literal, span: timedelta) -> Literal:
    if not isinstance(time.value, date):
        raise TypeError(time)
    try:
        return Literal(time.value + span, time.type)
    except OverflowError:
        message = "a time outside of the years 1 to 9999"
        raise Mismatch(message, "Write one within them.") from None
