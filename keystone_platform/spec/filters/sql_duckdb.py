"""A tree as DuckDB SQL."""

from __future__ import annotations

from datetime import date

from keystone_platform.spec.filters.pattern_cost import MAX_TEXT
from keystone_platform.spec.filters.sql import Renderer
from keystone_platform.spec.filters.tree import Convert, Expr, Function, Matches, Math, Shift
from keystone_platform.spec.types import Scalar

_NAMES = {Scalar.STRING: "VARCHAR", Scalar.TIMESTAMP: "TIMESTAMPTZ"}


def duckdb_sql(expr: Expr) -> str:
    """Return the value in DuckDB SQL over columns of the same names; a declared timestamp is a TIMESTAMPTZ."""
    return _DuckDb().render(expr)


class _DuckDb(Renderer):
    def column(self, path: tuple[str, ...]) -> str:
        # parentheses: `"a"."b"` could as well be column b of a table a
        first, *rest = (f'"{name}"' for name in path)
        return ".".join([f"({first})", *rest]) if rest else first

    def timestamp(self, time: str, day: date) -> str:
        return f"TIMESTAMPTZ '{day.isoformat()} {time}+00'"

    def null(self, type_: Scalar) -> str:
        return f"CAST(NULL AS {_name(type_)})"

    def convert(self, expr: Convert) -> str:
        operand = self.render(expr.operand)
        match expr.operand.type, expr.type:
            case Scalar.DOUBLE, _:  # a cast alone would round
                operand = f"TRUNC({operand})"
            case Scalar.TIMESTAMP, _:  # a cast alone would take the session's time zone
                operand = f"make_timestamp(epoch_us({operand}))"
            case Scalar.DATE, Scalar.TIMESTAMP:
                return f"(CAST({operand} AS TIMESTAMP) AT TIME ZONE 'UTC')"
        return f"TRY_CAST({operand} AS {_name(expr.type)})"

    def unchecked(self, expr: Math) -> str:
        return f"TRY_CAST({self._whole_math(expr, self._as_hugeint)} AS BIGINT)"

    def _as_hugeint(self, expr: Expr) -> str:
        return f"CAST({self.render(expr)} AS HUGEINT)"

    def modulo(self, expr: Math) -> str:
        """Return the remainder in a wider type: of the smallest bigint by -1 DuckDB has none."""
        return f"CAST(({self._as_hugeint(expr.left)} % {self._as_hugeint(expr.right)}) AS BIGINT)"

    def shift(self, expr: Shift) -> str:
        if expr.type is Scalar.DATE:
            return f"({self.render(expr.operand)} + ({expr.amount}))"
        return f"({self.render(expr.operand)} + to_seconds({expr.amount}))"

    def matches(self, expr: Matches) -> str:
        return f"regexp_matches(SUBSTRING({self.render(expr.operand)}, 1, {MAX_TEXT}), {self.string(expr.pattern.re2)})"

    def named_otherwise(self, function: Function, arguments: str) -> str:
        if function is Function.ROUND:
            return f"(ROUND({arguments}) + 0E0)"  # no -0.0
        names = {Function.HAS: "list_contains", Function.SIZE: "len"}
        return f"{names.get(function, function)}({arguments})"


def _name(type_: Scalar) -> str:
    return _NAMES.get(type_, type_.upper())
