"""Takes values as Avro's and Protobuf's writers hold them into declared columns, by the rules of docs/schemas.md."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from keystone_platform.audit.decode import fits_text
from keystone_platform.audit.parse import DeadEvent, Reason
from keystone_platform.spec.types import Scalar

_EPOCH = date(1970, 1, 1).toordinal()
_FIRST_DAY, _LAST_DAY = date.min.toordinal() - _EPOCH, date.max.toordinal() - _EPOCH
_DAY_S = 24 * 3600
_BOUNDS = {Scalar.INT: 2**31, Scalar.BIGINT: 2**63}


class Column:
    """A plain column. Each method takes a value of one kind and returns the column's, or a DeadEvent that says why not.

    One without a type takes nothing: of values that are passed.
    """

    def __init__(self, kind: Scalar | None) -> None:
        self._kind = kind

    def misfit(self) -> DeadEvent:
        return DeadEvent(Reason.WRONG_TYPE)

    def boolean(self, value: bool) -> Any:  # noqa: ANN401 - an Arrow value
        return value if self._kind is Scalar.BOOLEAN else self.misfit()

    def whole(self, value: int) -> Any:  # noqa: ANN401
        """Take an integer of any size."""
        bound = _BOUNDS.get(self._kind) if self._kind else None
        if bound is not None:
            return value if -bound <= value < bound else DeadEvent(Reason.OUT_OF_RANGE)
        return self._number(value)

    def real(self, value: float) -> Any:  # noqa: ANN401
        if self._kind not in (Scalar.FLOAT, Scalar.DOUBLE):
            return self.misfit()
        if not math.isfinite(value):
            return DeadEvent(Reason.OUT_OF_RANGE)
        return _finite(_single, value) if self._kind is Scalar.FLOAT else value

    def decimal(self, value: Decimal, scale: int) -> Any:  # noqa: ANN401
        if self._kind is Scalar.STRING:
            return f"{value:f}"
        if self._kind in _BOUNDS:
            return self.whole(int(value)) if scale == 0 else self.misfit()
        return self._number(value)

    def _number(self, value: int | Decimal) -> Any:  # noqa: ANN401
        if self._kind is Scalar.DOUBLE:
            return _finite(float, value)
        return _finite(_nearest_single, value) if self._kind is Scalar.FLOAT else self.misfit()

    def day(self, value: int) -> Any:  # noqa: ANN401
        """Take days since 1970."""
        if self._kind is not Scalar.DATE:
            return self.misfit()
        return value if _FIRST_DAY <= value <= _LAST_DAY else DeadEvent(Reason.OUT_OF_RANGE)

    def time(self, seconds: int, nanos: int) -> Any:  # noqa: ANN401
        """Take seconds since 1970 and nanoseconds of one."""
        if self._kind is not Scalar.TIMESTAMP:
            return self.misfit()
        if not _FIRST_DAY * _DAY_S <= seconds < (_LAST_DAY + 1) * _DAY_S or not 0 <= nanos < 10**9:
            return DeadEvent(Reason.OUT_OF_RANGE)
        return seconds * 10**6 + nanos // 1000

    def text(self, value: bytes) -> Any:  # noqa: ANN401
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return DeadEvent(Reason.NOT_UTF8)
        if self._kind is Scalar.STRING:
            return text
        return fits_text(text, self._kind) if self._kind in (Scalar.DATE, Scalar.TIMESTAMP) else self.misfit()


def _finite(convert: Callable[[Any], float], value: Any) -> Any:  # noqa: ANN401
    try:
        number = convert(value)
    except OverflowError:
        return DeadEvent(Reason.OUT_OF_RANGE)
    return number if math.isfinite(number) else DeadEvent(Reason.OUT_OF_RANGE)


def _single(value: float) -> float:
    found: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return found


def _nearest_single(value: int | Decimal) -> float:
    """Return the nearest number of single precision: by way of a double, which alone would round twice."""
    near = float(value)
    below, above = _single(math.nextafter(near, -math.inf)), _single(math.nextafter(near, math.inf))
    if below == above or Fraction(value) == Fraction(near):
        return _single(near)
    return above if Fraction(value) > Fraction(near) else below
