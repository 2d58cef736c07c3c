"""A tree as Flink SQL."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

from keystone_platform.spec.filters.pattern_cost import MAX_TEXT
from keystone_platform.spec.filters.sql import Renderer
from keystone_platform.spec.filters.tree import (
    Comparison,
    Convert,
    Expr,
    Function,
    In,
    Like,
    Literal,
    Matches,
    Math,
    Operator,
    Shift,
)
from keystone_platform.spec.types import Scalar

_NAMES = {
    Function.STARTS_WITH: "STARTSWITH",
    Function.ENDS_WITH: "ENDSWITH",
    Function.HAS: "ARRAY_CONTAINS",
    Function.SIZE: "CARDINALITY",
}
_ZERO = Literal(0.0, Scalar.DOUBLE)


def flink_sql(expr: Expr) -> str:
    """Return the value in Flink SQL over columns of the fields' names; no value of an event makes it fail.

    A declared timestamp is a TIMESTAMP_LTZ(6) there, and the session's time zone (`table.local-time-zone`) UTC.
    """
    return _Flink().render(expr)


class _Flink(Renderer):
    def column(self, path: tuple[str, ...]) -> str:
        return ".".join(f"`{name}`" for name in path)

    def timestamp(self, time: str, day: date) -> str:
        return f"CAST(TIMESTAMP '{day.isoformat()} {time}' AS TIMESTAMP_LTZ(6))"

    def null(self, type_: Scalar) -> str:
        return f"CAST(NULL AS {_name(type_)})"

    def convert(self, expr: Convert) -> str:
        tried = "TRY_CAST" if expr.operand.type is Scalar.STRING else "CAST"
        return f"{tried}({self.render(expr.operand)} AS {_name(expr.type)})"

    def unchecked(self, expr: Math) -> str:
        """Flink's BIGINTs wrap around, so that a sum is right if it fits, whatever its parts were."""
        return self.math(expr)

    def modulo(self, expr: Math) -> str:
        return f"MOD({self._as_bigint(expr.left)}, {self._as_bigint(expr.right)})"

    def shift(self, expr: Shift) -> str:
        unit = "DAY" if expr.type is Scalar.DATE else "SECOND"
        return f"({self.render(expr.operand)} + {expr.amount} * INTERVAL '1' {unit})"

    def matches(self, expr: Matches) -> str:
        return f"REGEXP(SUBSTRING({self.render(expr.operand)}, 1, {MAX_TEXT}), {self.string(expr.pattern.java)})"

    def named_otherwise(self, function: Function, arguments: str) -> str:
        if function is Function.CONTAINS:
            return f"(INSTR({arguments}) > 0)"
        return f"{_NAMES.get(function, function.upper())}({arguments})"

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


def _name(type_: Scalar) -> str:
    return "TIMESTAMP_LTZ(6)" if type_ is Scalar.TIMESTAMP else type_.upper()


def _regex(piece: str) -> str:
    """Write a piece of a LIKE pattern for Java's regular expressions; all but ASCII letters and digits by number."""
    return "".join(_regex_character(character) for character in piece)


def _regex_character(character: str) -> str:
    if character == "_":
        return "."
    is_plain = character.isascii() and character.isalnum()
    return character if is_plain else f"\\x{{{ord(character):X}}}"
