"""From sqlglot's tree to our own typed one, by allow-list: what is not named here is refused.

Each node is taken over only with the arguments that we know (`NOT LIKE`, for one, is a flag on its LIKE, which a
reading that looks at operands only would lose).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot import exp

from keystone_platform.spec.filters import literals, times
from keystone_platform.spec.filters.arithmetic import arithmetic, negative
from keystone_platform.spec.filters.bounds import Bounds
from keystone_platform.spec.filters.casts import TYPES, cast
from keystone_platform.spec.filters.fields import column
from keystone_platform.spec.filters.functions import call, concat
from keystone_platform.spec.filters.source import Source
from keystone_platform.spec.filters.text import LANGUAGE
from keystone_platform.spec.filters.tree import (
    And,
    Case,
    Comparison,
    Expr,
    In,
    IsNull,
    Like,
    Literal,
    MathOperator,
    Not,
    Operator,
    Or,
)
from keystone_platform.spec.filters.typing import DATE_FORM, TIMES, TIMESTAMP_FORM, Mismatch, met, named
from keystone_platform.spec.types import Scalar, Struct

_COMPARISONS: dict[type[exp.Expr], Operator] = {
    exp.EQ: Operator.EQUAL,
    exp.NEQ: Operator.UNEQUAL,
    exp.LT: Operator.LESS,
    exp.LTE: Operator.AT_MOST,
    exp.GT: Operator.MORE,
    exp.GTE: Operator.AT_LEAST,
}
_ARITHMETIC: dict[type[exp.Expr], MathOperator] = {
    exp.Add: MathOperator.ADD,
    exp.Sub: MathOperator.SUBTRACT,
    exp.Mul: MathOperator.MULTIPLY,
    exp.Div: MathOperator.DIVIDE,
    exp.Mod: MathOperator.MODULO,
}
_FUNCTIONS: dict[type[exp.Expr], tuple[str, tuple[str, ...]]] = {
    exp.Abs: ("abs", ("this",)),
    exp.Ceil: ("ceil", ("this",)),
    exp.Coalesce: ("coalesce", ("this", "expressions")),
    exp.Concat: ("concat", ("expressions",)),
    exp.Contains: ("contains", ("this", "expression")),
    exp.EndsWith: ("ends_with", ("this", "expression")),
    exp.Floor: ("floor", ("this",)),
    exp.Length: ("length", ("this",)),
    exp.Lower: ("lower", ("this",)),
    exp.Nullif: ("nullif", ("this", "expression")),
    exp.RegexpLike: ("regexp_like", ("this", "expression")),
    exp.Round: ("round", ("this", "decimals")),
    exp.StartsWith: ("starts_with", ("this", "expression")),
    exp.Substring: ("substring", ("this", "start", "length")),
    exp.Upper: ("upper", ("this",)),
}
"""Functions with the arguments that sqlglot keeps their operands in, in their order; TRIM has a reader of its own."""

_TRIMS = {"": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}
_EQUALITY = (Operator.EQUAL, Operator.UNEQUAL)


class Reading:
    """One text being turned into a tree."""

    def __init__(self, text: str, schema: Struct) -> None:
        self._source = Source(text)
        self._schema = schema
        self._bounds = Bounds()
        self._readers: dict[type[exp.Expr], Callable[[exp.Expr], Expr]] = {
            exp.Paren: lambda node: self._expr(self._source.only(node, "this")),
            exp.And: self._and,
            exp.Or: self._or,
            exp.Not: lambda node: Not(self.condition(self._source.only(node, "this"))),
            exp.In: self._in,
            exp.Between: self._between,
            exp.Like: self._like,
            exp.Is: self._is,
            exp.Column: self._field,
            exp.Dot: self._field,
            exp.Literal: self._literal,
            exp.Neg: self._negative,
            exp.Cast: self._cast,
            exp.Boolean: lambda node: Literal(bool(node.this), Scalar.BOOLEAN),
            exp.Null: self._null,
            exp.DPipe: self._pipe,
            exp.Case: self._case,
            exp.Trim: self._trim,
            **dict.fromkeys(_COMPARISONS, self._comparison),
            **dict.fromkeys(_ARITHMETIC, self._arithmetic),
            **dict.fromkeys(_FUNCTIONS, self._function),
        }

    def condition(self, node: exp.Expr) -> Expr:
        """Return a tree of type BOOLEAN; refuses any other."""
        found = self._expr(node)
        if found.type is not Scalar.BOOLEAN:
            self._source.wrong(node, f"{named(found.type)} where a condition is expected", "Compare it with something.")
        return found

    def value(self, node: exp.Expr) -> Expr:
        """Return a tree of a scalar type; refuses any other."""
        found = self._expr(node)
        if not isinstance(found.type, Scalar):
            self._source.wrong(node, f"{named(found.type)} where a plain value is expected", "Name a field of it.")
        return found

    def _expr(self, node: exp.Expr) -> Expr:
        reader = self._readers.get(type(node))
        if reader is None:
            self._source.wrong(node, f"{self._source.shown(node)} is not part of the filter language", LANGUAGE)
        try:
            with self._bounds.deeper():
                return self._bounds.checked(reader(node))
        except Mismatch as error:
            self._source.wrong(node, f"{error.what} in {self._source.shown(node)}", error.mend)

    def _and(self, node: exp.Expr) -> Expr:
        return And(tuple(map(self.condition, self._flat(node))))

    def _or(self, node: exp.Expr) -> Expr:
        return Or(tuple(map(self.condition, self._flat(node))))

    def _pipe(self, node: exp.Expr) -> Expr:
        return concat("||", [self._expr(each) for each in self._flat(node, "safe")])

    def _flat(self, node: exp.Expr, *harmless: str) -> list[exp.Expr]:
        """Return the operands of a chain `a and b and c`, which sqlglot nests, without recursion."""
        operands: list[exp.Expr] = []
        waiting = [node]
        while waiting:
            each = waiting.pop()
            if type(each) is type(node):
                self._source.check_arguments(each, "this", "expression", *harmless)
                waiting += [each.args["expression"], each.args["this"]]
            else:
                operands.append(each)
        return operands

    def _comparison(self, node: exp.Expr) -> Expr:
        self._source.check_arguments(node, "this", "expression")
        operator = _COMPARISONS[type(node)]
        sides = [node.args["this"], node.args["expression"]]
        (left, right), type_ = met(self._difference(*sides) or [self._expr(side) for side in sides])
        if type_ is Scalar.BOOLEAN and operator not in _EQUALITY:
            self._source.wrong(node, "booleans have no order", "Use = or <>.")
        if operator not in _EQUALITY:
            self._check_order(node, left, right)
        return Comparison(operator, left, right)

    def _difference(self, left: exp.Expr, right: exp.Expr) -> list[Expr] | None:
        """Read `a - b > interval '1' hour` as `a > b + interval '1' hour`, either way round; None if it is none."""
        if isinstance(right, exp.Interval):
            return self._apart(left, right)
        return self._apart(right, left)[::-1] if isinstance(left, exp.Interval) else None

    def _apart(self, difference: exp.Expr, interval: exp.Interval) -> list[Expr]:
        difference = difference.unnest()
        if type(difference) is not exp.Sub:
            message = "an interval is compared with a difference of two times"
            raise Mismatch(message, "Write ended_at - started_at > interval '1' hour.")
        later, earlier = (self._expr(difference.args[key]) for key in ("this", "expression"))
        return [later, times.shifted(earlier, self._seconds(interval))]

    def _check_order(self, node: exp.Expr, *operands: Expr) -> None:
        """Refuse an order of texts that engines see differently: some go by UTF-16 units, others by code points.

        They agree wherever one of the two has no character beyond U+D7FF.
        """
        if operands[0].type is not Scalar.STRING:
            return
        values = [operand.value for operand in operands if isinstance(operand, Literal)]
        if not any(isinstance(value, str) and all(character <= "\ud7ff" for character in value) for value in values):
            what = f"{self._source.shown(node)}: text is ordered against a value without characters beyond U+D7FF only"
            self._source.wrong(node, what, "Use = or <>, or another value.")

    def _in(self, node: exp.Expr) -> Expr:
        self._source.check_arguments(node, "this", "expressions")
        values = node.args.get("expressions") or []
        if not values:
            self._source.wrong(node, "`in` without a list", "Write in ('US', 'BR').")
        for value in values:
            if type(value) is exp.Null:
                self._source.wrong(value, "a list holds values only", "A null is never in a list: add `or … is null`.")
        (operand, *listed), _ = met([self._expr(node.args["this"]), *map(self._expr, values)])
        literal = tuple(each for each in listed if isinstance(each, Literal))
        if len(literal) < len(listed):
            wrong = next(value for value, each in zip(values, listed, strict=True) if not isinstance(each, Literal))
            self._source.wrong(wrong, "a list holds values only", "Compare fields by =, joined by `or`.")
        return In(operand, literal)

    def _between(self, node: exp.Expr) -> Expr:
        """Take `a between b and c` as `a >= b and a <= c`, which it is by the SQL standard."""
        self._source.check_arguments(node, "this", "low", "high")
        (operand, low, high), type_ = met([self._expr(node.args[key]) for key in ("this", "low", "high")])
        if type_ is Scalar.BOOLEAN:
            self._source.wrong(node, "booleans have no order", "Use = or <>.")
        self._check_order(node, operand, low)
        self._check_order(node, operand, high)
        return And((Comparison(Operator.AT_LEAST, operand, low), Comparison(Operator.AT_MOST, operand, high)))

    def _like(self, node: exp.Expr) -> Expr:
        self._source.check_arguments(node, "this", "expression", "negate")
        operand, pattern = self._expr(node.args["this"]), node.args["expression"]
        if operand.type is not Scalar.STRING:
            self._source.wrong(node, f"`like` compares text, and this is {named(operand.type)}", "Use a comparison.")
        if type(pattern) is not exp.Literal or not pattern.is_string:
            self._source.wrong(node, "`like` takes a pattern in quotes", "Write like 'Smart%'.")
        found = Like(operand, str(pattern.this))
        return Not(found) if node.args.get("negate") else found

    def _is(self, node: exp.Expr) -> Expr:
        self._source.check_arguments(node, "this", "expression")
        if type(node.args["expression"]) is not exp.Null:
            self._source.wrong(
                node, "`is` asks for null only", "Write `is null` or `is not null`; compare values by =."
            )
        return IsNull(self._expr(node.args["this"]))

    def _arithmetic(self, node: exp.Expr) -> Expr:
        self._source.check_arguments(node, "this", "expression", "typed", "safe")
        operator = _ARITHMETIC[type(node)]
        left, right = node.args["this"], node.args["expression"]
        if type(left) is exp.Interval and operator is MathOperator.ADD:
            left, right = right, left
        if type(right) is exp.Interval and operator in (MathOperator.ADD, MathOperator.SUBTRACT):
            by = self._seconds(right)
            return times.shifted(self._expr(left), by if operator is MathOperator.ADD else -by)
        one, other = self._expr(left), self._expr(right)
        if operator is MathOperator.SUBTRACT and one.type in TIMES and other.type in TIMES:
            message = "a difference of times can be compared with an interval only"
            raise Mismatch(message, "Write ended_at - started_at > interval '1' hour.")
        return arithmetic(operator, one, other)

    def _seconds(self, node: exp.Interval) -> int:
        self._source.check_arguments(node, "this", "unit")
        return times.seconds(node)

    def _negative(self, node: exp.Expr) -> Expr:
        inner = self._source.only(node, "this")
        if type(inner) is exp.Literal and not inner.is_string:
            return self._number(node, f"-{inner.this}")
        return negative(self._expr(inner))

    def _function(self, node: exp.Expr) -> Expr:
        name, keys = _FUNCTIONS[type(node)]
        self._source.check_arguments(node, *keys, *(("safe",) if name == "concat" else ()))
        arguments: list[exp.Expr] = []
        for key in keys:
            found = node.args.get(key)
            arguments += found if isinstance(found, list) else [found] if found is not None else []
        return call(name, [self._expr(argument) for argument in arguments])

    def _trim(self, node: exp.Expr) -> Expr:
        self._source.check_arguments(node, "this", "position")
        name = _TRIMS.get(str(node.args.get("position") or ""), "trim")
        return call(name, [self._expr(node.args["this"])])

    def _case(self, node: exp.Expr) -> Expr:
        self._source.check_arguments(node, "this", "ifs", "default")
        subject, default = node.args.get("this"), node.args.get("default")
        branches: Sequence[exp.Expr] = node.args["ifs"]
        for branch in branches:
            self._source.check_arguments(branch, "this", "true")
        conditions = [self._case_condition(subject, branch.args["this"]) for branch in branches]
        results = [branch.args["true"] for branch in branches] + ([default] if default is not None else [])
        values = [None if type(result) is exp.Null else self._expr(result) for result in results]
        known, type_ = met(self._some(node, [value for value in values if value is not None]))
        widened = iter(known)
        typed = [Literal(None, type_) if value is None else next(widened) for value in values]
        last = typed.pop() if default is not None else Literal(None, type_)
        return Case(tuple(zip(conditions, typed, strict=True)), last, type_)

    def _case_condition(self, subject: exp.Expr | None, node: exp.Expr) -> Expr:
        if subject is None:
            return self.condition(node)
        (left, right), _ = met([self._expr(subject), self._expr(node)])
        return Comparison(Operator.EQUAL, left, right)

    def _some(self, node: exp.Expr, values: list[Expr]) -> list[Expr]:
        if not values:
            self._source.wrong(node, "a case whose values are all null", "Give it a value.")
        return values

    def _field(self, node: exp.Expr) -> Expr:
        return column(self._source, self._schema, node)

    def _null(self, node: exp.Expr) -> Expr:
        self._source.wrong(node, "nothing equals null", "Write `is null` or `is not null`.")

    def _literal(self, node: exp.Expr) -> Expr:
        return Literal(str(node.this), Scalar.STRING) if node.is_string else self._number(node, str(node.this))

    def _number(self, node: exp.Expr, written: str) -> Expr:
        try:
            return literals.number(written)
        except ValueError as error:
            self._source.wrong(node, str(error), "Write 1000, -1, 0.5 or 1e6, not larger than a bigint or a double.")

    def _cast(self, node: exp.Expr) -> Expr:
        self._source.check_arguments(node, "this", "to")
        kind, inner = node.args["to"], node.args["this"]
        if kind.this not in TYPES or kind.expressions:
            mend = "Types of a cast are string, int, bigint, double, date, timestamp."
            self._source.wrong(node, f"{self._source.shown(node)}: there is no such cast", mend)
        type_ = TYPES[kind.this]
        if type(inner) is exp.Literal and inner.is_string and type_ in TIMES:
            return self._time(inner, type_)
        return cast(self._expr(inner), type_)

    def _time(self, node: exp.Expr, type_: Scalar) -> Expr:
        try:
            return literals.day(str(node.this)) if type_ is Scalar.DATE else literals.moment(str(node.this))
        except ValueError as error:
            mend = f"Write {DATE_FORM} or {TIMESTAMP_FORM} (UTC unless it ends in an offset)."
            self._source.wrong(node, str(error), mend)
