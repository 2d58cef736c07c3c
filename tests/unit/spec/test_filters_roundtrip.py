"""Random trees, spelled in the filter language, are read back as themselves."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from keystone_platform.spec.filters import duckdb_sql, field_paths, flink_sql, parse_filter
from keystone_platform.spec.filters.tree import (
    And,
    Call,
    Column,
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
    Widen,
)
from keystone_platform.spec.types import Scalar
from tests.unit.spec.filter_cases import SCHEMA

TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs"), max_codepoint=0xD7FF), max_size=8)

VALUES: dict[Scalar, st.SearchStrategy[Literal]] = {
    Scalar.INT: st.integers(-(2**31), 2**31 - 1).map(lambda value: Literal(value, Scalar.INT)),
    Scalar.DOUBLE: st.floats(allow_nan=False, allow_infinity=False).map(lambda v: Literal(v or 0.0, Scalar.DOUBLE)),
    Scalar.STRING: TEXTS.map(lambda value: Literal(value, Scalar.STRING)),
    Scalar.DATE: st.dates().map(lambda value: Literal(value, Scalar.DATE)),
    Scalar.TIMESTAMP: st.datetimes(timezones=st.just(UTC)).map(lambda value: Literal(value, Scalar.TIMESTAMP)),
}

COLUMNS: dict[Scalar, list[Column]] = {
    Scalar.INT: [Column(("a",), Scalar.INT), Column(("device", "app", "v"), Scalar.INT)],
    Scalar.DOUBLE: [Column(("d",), Scalar.DOUBLE)],
    Scalar.STRING: [Column(("s",), Scalar.STRING), Column(("comment",), Scalar.STRING)],
    Scalar.DATE: [Column(("day",), Scalar.DATE)],
    Scalar.TIMESTAMP: [Column(("ts",), Scalar.TIMESTAMP)],
}


def operands(type_: Scalar) -> st.SearchStrategy[Expr]:
    columns: st.SearchStrategy[Expr] = st.sampled_from(COLUMNS[type_])
    pairs = st.tuples(columns, VALUES[type_]).map(lambda pair: Call(Function.COALESCE, pair, type_))
    if type_ is Scalar.STRING:
        names = st.sampled_from([Function.LOWER, Function.UPPER])
        called = st.tuples(names, columns | pairs).map(lambda each: Call(each[0], (each[1],), Scalar.STRING))
        return columns | pairs | called
    return columns | pairs


def conditions_of(type_: Scalar) -> st.SearchStrategy[Expr]:
    left, value = operands(type_), VALUES[type_]
    compared = st.tuples(st.sampled_from(Operator), left, value).map(lambda each: Comparison(*each))
    listed = st.tuples(left, st.lists(value, min_size=1, max_size=4).map(tuple)).map(lambda each: In(*each))
    return compared | listed | left.map(IsNull)


LEAVES: st.SearchStrategy[Expr] = (
    st.sampled_from(list(VALUES)).flatmap(conditions_of)
    | st.just(Column(("ok",), Scalar.BOOLEAN))
    | st.tuples(operands(Scalar.STRING), TEXTS).map(lambda each: Like(*each))
)


def combined(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    several = st.lists(inner, min_size=2, max_size=4).map(tuple)
    return inner.map(Not) | several.map(And) | several.map(Or) | inner.map(IsNull)


TREES = st.recursive(LEAVES, combined, max_leaves=12)


def quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def spelled(expr: Expr) -> str:
    """Write the tree in the filter language, with parentheses around everything composed."""
    match expr:
        case Column(path):
            return ".".join(path)
        case Literal(datetime() as moment):
            return f"timestamp '{moment.date().isoformat()} {moment:%H:%M:%S.%f}'"
        case Literal(date() as day):
            return f"date '{day.isoformat()}'"
        case Literal(str() as text):
            return quoted(text)
        case Literal(value):
            return repr(value)
        case Call(function, arguments):
            return f"{function}({', '.join(map(spelled, arguments))})"
        case Comparison(operator, left, right):
            return f"{spelled(left)} {operator} {spelled(right)}"
        case In(operand, values):
            return f"{spelled(operand)} in ({', '.join(map(spelled, values))})"
        case Like(operand, pattern):
            return f"{spelled(operand)} like {quoted(pattern)}"
        case IsNull(operand):
            return f"({spelled(operand)}) is null"
        case Not(operand):
            return f"not ({spelled(operand)})"
        case And(several):
            return " and ".join(f"({spelled(each)})" for each in several)
        case Or(several):
            return " or ".join(f"({spelled(each)})" for each in several)
        case Widen():
            raise AssertionError(expr)


@settings(max_examples=100, deadline=None)
@given(TREES)
def test_a_tree_is_read_back_from_its_own_spelling(tree: Expr) -> None:
    text = spelled(tree)
    assert parse_filter(text, SCHEMA) == tree
    assert field_paths(tree)


@settings(max_examples=100, deadline=None)
@given(TREES)
def test_quotes_of_a_rendered_filter_are_balanced_outside_its_texts(tree: Expr) -> None:
    for sql, mark in ((flink_sql(tree), "`"), (duckdb_sql(tree), '"')):
        parts = sql.replace("''", "").split("'")
        assert len(parts) % 2 == 1
        outside = "".join(parts[::2])
        assert outside.count("(") == outside.count(")")
        assert outside.count(mark) % 2 == 0
        assert not set(outside) & set(";\\#{}")
        assert "--" not in outside
        assert "/*" not in outside
