"""From a filter's text to its typed tree, by allow-list: what is not named here is refused.

sqlglot reads the text; each of its nodes is taken over only with the arguments that we know (`NOT LIKE`, for one, is a
flag on its LIKE, which a reading that looks at operands only would lose).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from sqlglot import Token, TokenType, exp
from sqlglot.dialects import Dialect
from sqlglot.errors import SqlglotError

from keystone_platform.errors import InvalidSpec
from keystone_platform.spec.filters import literals
from keystone_platform.spec.filters.fields import column
from keystone_platform.spec.filters.source import Source
from keystone_platform.spec.filters.text import LANGUAGE, tokens_of, wrong
from keystone_platform.spec.filters.tree import (
    And,
    Call,
    Comparison,
    Expr,
    Function,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Operator,
    Or,
    field_paths,
)
from keystone_platform.spec.filters.typing import (
    DATE_FORM,
    NUMBERS,
    TIMESTAMP_FORM,
    WHOLE,
    Mismatch,
    common_type,
    named,
    widened,
)
from keystone_platform.spec.types import FieldType, Scalar, Struct

_WORDS = {"and", "or", "not", "in", "like", "is", "null", "between", "true", "false"}

_COMPARISONS: dict[type[exp.Expr], Operator] = {
    exp.EQ: Operator.EQUAL,
    exp.NEQ: Operator.UNEQUAL,
    exp.LT: Operator.LESS,
    exp.LTE: Operator.AT_MOST,
    exp.GT: Operator.MORE,
    exp.GTE: Operator.AT_LEAST,
}
_FUNCTIONS: dict[type[exp.Expr], Function] = {
    exp.Lower: Function.LOWER,
    exp.Upper: Function.UPPER,
    exp.Length: Function.LENGTH,
    exp.Abs: Function.ABS,
    exp.Coalesce: Function.COALESCE,
}
MAX_TREE_DEPTH = 64
"""Nodes from the root to a leaf; a chain of `and` or of `or` counts once."""


def parse_filter(text: str, schema: Struct) -> Expr:
    """Return the typed tree of a filter; its type is BOOLEAN, and it reads at least one field.

    Raises:
        InvalidSpec: the text is not of the language or does not fit the schema. It names the column in the text; its
            field is `filter`.
    """
    tree = _Reading(text, schema).condition(_root(text, schema))
    if not field_paths(tree):
        mend = "Name a field of the schema; quotes 'make text', fields have none."
        message = "the filter looks at no field, so it is always the same"
        raise InvalidSpec(message, mend=mend, field="filter")
    return tree


def parse_expression(text: str, schema: Struct) -> Expr:
    """Return the typed tree of a value, a scalar of any type; it may be a constant.

    Raises:
        InvalidSpec: as `parse_filter`.
    """
    return _Reading(text, schema).value(_root(text, schema))


def _root(text: str, schema: Struct) -> exp.Expr:
    """Return what sqlglot makes of the text."""
    tokens = _fields_first(tokens_of(text), schema)
    dialect = Dialect.get_or_raise("")
    try:
        (root,) = dialect.parser().parse_into(exp.Condition, tokens, text)
    except (SqlglotError, ValueError, RecursionError) as error:
        raise wrong(text, _offset_of(error, text), "near here this can't be read as a filter", LANGUAGE) from error
    if not isinstance(root, exp.Expr):
        raise wrong(text, 0, "this can't be read as a filter", LANGUAGE)
    return root


def _fields_first(tokens: Sequence[Token], schema: Struct) -> list[Token]:
    """Let a field's name be a name although it is a word of SQL (`comment`, `from`, `set`), as the schema allows it."""
    names = {name for name in _names(schema) if name.lower() not in _WORDS}
    found = list(tokens)
    for index, (token, after) in enumerate(zip(found, [*found[1:], None], strict=True)):
        is_call = after is not None and after.token_type in (TokenType.L_PAREN, TokenType.STRING)
        if token.text in names and token.token_type is not TokenType.STRING and not is_call:
            found[index] = Token(
                TokenType.IDENTIFIER, token.text, line=token.line, col=token.col, start=token.start, end=token.end
            )
    return found


def _names(schema: Struct) -> Iterable[str]:
    for field in schema.fields:
        yield field.name
        if isinstance(field.type, Struct):
            yield from _names(field.type)


def _offset_of(error: Exception, text: str) -> int:
    """Return where sqlglot stopped; it tells lines and columns, the column that of the token's last character."""
    details = getattr(error, "errors", None) or [{}]
    line, column = details[0].get("line") or 1, details[0].get("col") or 1
    width = len(details[0].get("highlight") or "x")
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    return min(starts[min(line, len(starts)) - 1] + max(column - width, 0), len(text))


class _Reading:
    """One text being turned into a tree."""

    def __init__(self, text: str, schema: Struct) -> None:
        self._source = Source(text)
        self._schema = schema
        self._depth = 0

    def condition(self, node: exp.Expr) -> Expr:
        found = self._expr(node)
        if found.type is not Scalar.BOOLEAN:
            self._source.wrong(node, f"{named(found.type)} where a condition is expected", "Compare it with something.")
        return found

    def value(self, node: exp.Expr) -> Expr:
        found = self._expr(node)
        if not isinstance(found.type, Scalar):
            self._source.wrong(node, f"{named(found.type)} where a plain value is expected", "Name a field of it.")
        return found

    def _expr(self, node: exp.Expr) -> Expr:
        self._depth += 1
        if self._depth > MAX_TREE_DEPTH:
            self._source.wrong(node, f"nested more than {MAX_TREE_DEPTH} deep", "Write it flatter.")
        try:
            return self._read(node)
        finally:
            self._depth -= 1

    def _read(self, node: exp.Expr) -> Expr:
        kind = type(node)
        if kind is exp.Paren:
            return self._expr(self._source.only(node, "this"))
        if kind in _COMPARISONS:
            return self._comparison(node, _COMPARISONS[kind])
        if kind in _FUNCTIONS:
            return self._call(node, _FUNCTIONS[kind])
        reader = self._readers().get(kind)
        if reader is None:
            self._source.wrong(node, f"{self._source.shown(node)} is not part of the filter language", LANGUAGE)
        return reader(node)

    def _readers(self) -> dict[type[exp.Expr], Callable[[exp.Expr], Expr]]:
        return {
            exp.And: self._and,
            exp.Or: self._or,
            exp.Not: self._not,
            exp.In: self._in,
            exp.Between: self._between,
            exp.Like: self._like,
            exp.Is: self._is,
            exp.Column: self._field,
            exp.Dot: self._field,
            exp.Literal: self._literal,
            exp.Neg: self._literal,
            exp.Cast: self._literal,
            exp.Boolean: self._literal,
            exp.Null: self._literal,
        }

    def _and(self, node: exp.Expr) -> Expr:
        return And(tuple(map(self.condition, self._flat(node, exp.And))))

    def _or(self, node: exp.Expr) -> Expr:
        return Or(tuple(map(self.condition, self._flat(node, exp.Or))))

    def _flat(self, node: exp.Expr, kind: type[exp.Expr]) -> list[exp.Expr]:
        """Return the operands of a chain `a and b and c`, which sqlglot nests, without recursion."""
        operands: list[exp.Expr] = []
        waiting = [node]
        while waiting:
            each = waiting.pop()
            if type(each) is kind:
                self._source.check_arguments(each, "this", "expression")
                waiting += [each.args["expression"], each.args["this"]]
            else:
                operands.append(each)
        return operands

    def _not(self, node: exp.Expr) -> Expr:
        return Not(self.condition(self._source.only(node, "this")))

    def _comparison(self, node: exp.Expr, operator: Operator) -> Expr:
        self._source.check_arguments(node, "this", "expression")
        left, right = self._met(node, [self._expr(node.args["this"]), self._expr(node.args["expression"])])
        if left.type is Scalar.BOOLEAN and operator not in (Operator.EQUAL, Operator.UNEQUAL):
            self._source.wrong(node, "booleans have no order", "Use = or <>.")
        if operator not in (Operator.EQUAL, Operator.UNEQUAL):
            self._check_order(node, left, right)
        return Comparison(operator, left, right)

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
            if type(value) not in (exp.Literal, exp.Neg, exp.Cast, exp.Boolean):
                mend = "A null is never in a list: add `or … is null`." if type(value) is exp.Null else ""
                self._source.wrong(value, "a list holds values only", mend or "Compare fields by =, joined by `or`.")
        operand, *met = self._met(node, [self._expr(node.args["this"]), *map(self._expr, values)])
        return In(operand, tuple(value for value in met if isinstance(value, Literal)))

    def _between(self, node: exp.Expr) -> Expr:
        """Take `a between b and c` as `a >= b and a <= c`, which it is by the SQL standard."""
        self._source.check_arguments(node, "this", "low", "high")
        parts = [self._expr(node.args[key]) for key in ("this", "low", "high")]
        operand, low, high = self._met(node, parts)
        if operand.type is Scalar.BOOLEAN:
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

    def _call(self, node: exp.Expr, function: Function) -> Expr:
        self._source.check_arguments(node, "this", "expressions")
        arguments = [self._expr(each) for each in (node.args["this"], *(node.args.get("expressions") or []))]
        if function is Function.COALESCE:
            if len(arguments) == 1:
                self._source.wrong(node, "coalesce() of one value", "Write coalesce(field, 'value if it is null').")
            met = self._met(node, arguments)
            return Call(function, tuple(met), _scalar(met[0].type))
        (argument,) = arguments
        if function is Function.ABS:
            if argument.type not in NUMBERS:
                self._source.wrong(node, f"abs() takes a number, and this is {named(argument.type)}", "Name a number.")
            result = Scalar.BIGINT if argument.type in WHOLE else _scalar(argument.type)
            return Call(function, (widened(argument, result),), result)
        if argument.type is not Scalar.STRING:
            self._source.wrong(
                node, f"{function}() takes text, and this is {named(argument.type)}", "Name a string field."
            )
        return Call(function, (argument,), Scalar.BIGINT if function is Function.LENGTH else Scalar.STRING)

    def _field(self, node: exp.Expr) -> Expr:
        return column(self._source, self._schema, node)

    def _literal(self, node: exp.Expr) -> Expr:
        if type(node) is exp.Boolean:
            return Literal(bool(node.this), Scalar.BOOLEAN)
        if type(node) is exp.Null:
            self._source.wrong(node, "nothing equals null", "Write `is null` or `is not null`.")
        if type(node) is exp.Cast:
            return self._time(node)
        inner = self._source.only(node, "this") if type(node) is exp.Neg else node
        if type(inner) is not exp.Literal or (inner is not node and inner.is_string):
            self._source.wrong(node, "there is no arithmetic in a filter", "Write a plain number.")
        if inner.is_string:
            return Literal(str(inner.this), Scalar.STRING)
        try:
            return literals.number(f"{'-' if inner is not node else ''}{inner.this}")
        except ValueError as error:
            self._source.wrong(node, str(error), "Write 1000, -1, 0.5 or 1e6, not larger than a bigint or a double.")

    def _time(self, node: exp.Expr) -> Expr:
        self._source.check_arguments(node, "this", "to")
        kind, inner = node.args["to"], node.args["this"]
        readers = {exp.DType.DATE: literals.day, exp.DType.TIMESTAMP: literals.moment}
        mend = f"Write {DATE_FORM} or {TIMESTAMP_FORM} (UTC unless it ends in an offset)."
        if type(inner) is not exp.Literal or not inner.is_string or kind.this not in readers or kind.expressions:
            self._source.wrong(node, f"{self._source.shown(node)}: there are no casts", mend)
        try:
            return readers[kind.this](str(inner.this))
        except ValueError as error:
            self._source.wrong(inner, str(error), mend)

    def _met(self, node: exp.Expr, operands: list[Expr]) -> list[Expr]:
        """Bring the operands to their one common type."""
        try:
            type_ = common_type(operands[0].type, operands[0].type)
            for operand in operands[1:]:
                type_ = common_type(type_, operand.type)
        except Mismatch as error:
            self._source.wrong(node, f"{error.what} in {self._source.shown(node)}", error.mend)
        return [widened(operand, type_) for operand in operands]


def _scalar(type_: FieldType) -> Scalar:
    """Return the type, which a check before has shown to be a scalar."""
    if not isinstance(type_, Scalar):
        raise TypeError(type_)
    return type_
