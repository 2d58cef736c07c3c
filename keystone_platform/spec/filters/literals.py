"""Values as a filter writes them. A ValueError says what is wrong; where, the caller knows."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime

from keystone_platform.spec.filters.tree import Literal
from keystone_platform.spec.filters.typing import BIGINT_RANGE, INT_RANGE
from keystone_platform.spec.types import Scalar

_WHOLE = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[-+][0-9]{2}:[0-9]{2})?)?"
)
_BIGINT_DIGITS = 20


def number(written: str) -> Literal:
    """Return the narrowest of INT, BIGINT and DOUBLE that holds the number; zero has no sign."""
    if _WHOLE.fullmatch(written):
        whole = int(written) if len(written) <= _BIGINT_DIGITS else BIGINT_RANGE.stop
        if whole not in BIGINT_RANGE:
            message = f"{written} is larger than a bigint"
            raise ValueError(message)
        return Literal(whole, Scalar.INT if whole in INT_RANGE else Scalar.BIGINT)
    if not _NUMBER.fullmatch(written):
        message = f"{written!r} is no number"
        raise ValueError(message)
    value = float(written)
    if not math.isfinite(value):
        message = f"{written} is larger than a double"
        raise ValueError(message)
    return Literal(value or 0.0, Scalar.DOUBLE)


def day(text: str) -> Literal:
    """Return a date written as `2026-01-31`."""
    try:
        found = date.fromisoformat(_matched(_DATE, text))
    except ValueError:
        message = f"'{text}' is no date"
        raise ValueError(message) from None
    return Literal(_in_calendar(found), Scalar.DATE)


def moment(text: str) -> Literal:
    """Return a point in time written as `2026-01-31 13:00:00`, UTC unless it ends in an offset."""
    try:
        local = datetime.fromisoformat(_matched(_TIMESTAMP, text))
        found = local.replace(tzinfo=local.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"'{text}' is no point in time"
        raise ValueError(message) from None
    _in_calendar(found.date())
    return Literal(found, Scalar.TIMESTAMP)


def _in_calendar(found: date) -> date:
    """Refuse the ten days that the calendar reform of 1582 left out: Flink takes no literal of theirs."""
    if date(1582, 10, 4) < found < date(1582, 10, 15):
        message = f"'{found}' is a day that not every calendar has"
        raise ValueError(message)
    return found


def _matched(form: re.Pattern[str], text: str) -> str:
    if not form.fullmatch(text):
        raise ValueError(text)
    return text
