from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from keystone_platform.errors import InvalidSpec
from keystone_platform.spec.filters import duckdb_sql, field_paths, flink_sql, parse_filter
from keystone_platform.spec.filters.tree import Column, Comparison, In, Like, Literal, Not, Operator
from keystone_platform.spec.types import Scalar
from tests.unit.spec.filter_cases import SCHEMA

REFUSED = {
    # what is wrong, where in the text, what is said
    "s = 5": (1, "a string can't be compared with an int in `s = 5`"),
    "a > 1 and s > 5": (11, "`s > 5`"),
    "ts > '2026-01-01'": (1, "Write a point in time as timestamp '2026-01-31 13:00:00'"),
    "day > '2026-01-01'": (1, "Write a date as date '2026-01-31'"),
    "day > ts": (1, "a date can't be compared with a timestamp"),
    "ok = 'true'": (1, "without quotes"),
    "ok > false": (1, "no order"),
    "ok between false and true": (1, "no order"),
    "a in (1, 'x')": (1, "an int can't be compared with a string"),
    "a between 1 and 'x'": (1, "an int can't be compared with a string"),
    "coalesce(s, 1) = 'x'": (1, "a string can't be compared with an int"),
    "device = 'tv'": (1, "an object has no value of its own"),
    "a = 1 or usr = 2": (10, "unknown field usr"),
    "device.tpye = 'x'": (1, "Did you mean device.type?"),
    "S = 'x'": (1, "Did you mean s?"),
    "s.x = 'x'": (1, "s is a string and has no fields"),
    's = "US"': (5, "single quotes: 'US'"),
    "s": (1, "a string where a condition is expected"),
    "not s": (5, "a string where a condition is expected"),
    "a and ok": (1, "an int where a condition is expected"),
    "a > 1 and s = null": (11, "Write `is null`"),
    "a > 1 and a in (1, null)": (11, "or … is null"),
    "a in (1, big)": (10, "values only"),
    "a in ()": (1, "Write in ('US', 'BR')"),
    "a in (select 1)": (7, "not part of the filter language"),
    "s like comment": (1, "pattern in quotes"),
    "a like '1%'": (1, "compares text"),
    "s like 'x' escape '!'": (1, "not part of the filter language"),
    "s ilike 'x'": (1, "not part of the filter language"),
    "s similar to 'x'": (1, "not part of the filter language"),
    "s is true": (1, "asks for null only"),
    "length(a) = 1": (1, "takes text"),
    "abs(s) = 1": (1, "takes a number"),
    "coalesce(s) = 'x'": (1, "of one value"),
    "s + 1 > 2": (1, "`+` takes numbers, and this is a string in `s + 1`"),
    "-s = 'x'": (2, "takes numbers"),
    "a / 0 > 1": (1, "a division by zero"),
    "d % 2 = 1": (1, "whole numbers"),
    "a || 'x' = 'y'": (1, "takes texts, and this is an int and a string"),
    "try_cast(a as bigint) = 1": (10, "not part of the filter language"),
    "cast(a as decimal(3, 2)) = 1": (6, "there is no such cast"),
    "cast(s as date) = day": (6, "can't be cast"),
    "cast(d as string) = 'x'": (6, "can't be cast"),
    "ts > interval '1' hour": (1, "compared with a difference of two times"),
    "ts - ts > 5": (1, "can be compared with an interval only"),
    "ts + interval '1' month > ts": (1, "months differ in length"),
    "ts + interval '1.5' hour > ts": (1, "an interval that is none"),
    "ts + interval '1 02' day to hour > ts": (1, "an interval that is none"),
    "day + interval '1' hour > day": (1, "moved by whole days"),
    "a + interval '1' hour > a": (1, "an interval is added to a time"),
    "ts > timestamp '9999-12-31' + interval '1' day": (16, "outside of the years"),
    "interval '1' hour = interval '1' hour": (10, "difference of two times"),
    "contains(tags, 5)": (1, "an array<string> holds no int"),
    "contains(doubles, 5)": (1, "fractions are hardly ever equal"),
    "contains(s, a)": (1, "takes texts"),
    "contains(s, comment)": (1, "a text in quotes of 256"),
    "tags = 'x'": (1, "an array has no value of its own"),
    "tags[1] = 'x'": (5, "not part of the filter language"),
    "substring(s, 0, 2) = 'x'": (11, "from 1"),
    "substring(s, a) = 'x'": (11, "plain numbers"),
    "round(d, 9) = 1": (1, "0 to 6"),
    "regexp_like(s, comment)": (1, "a pattern in quotes"),
    "regexp_like(s, 'a', 'i')": (1, "not part of the filter language"),
    "regexp_like(s, '(')": (1, "a parenthesis that is not closed"),
    "trim(both 'x' from s) = 'x'": (11, "not part of the filter language"),
    "case when ok then 'x' else 1 end = 'x'": (11, "a string can't be compared with an int"),
    "case when s then 1 end = 1": (11, "a condition is expected"),
    "case when ok then null end = 1": (11, "all null"),
    "case a when 'x' then 1 end = 1": (6, "can't be compared"),
    "replace(s, 'a', 'b') = 'x'": (1, "not part of the filter language"),
    "a::bigint = 1": (2, "`::` is not part"),
    "now() > ts": (1, "not part of the filter language"),
    "s in ('a' 'b')": (11, "right after another one"),
    "a in (1 + 1)": (7, "values only"),
    "pg_sleep(1) = a": (1, "`pg_sleep(1)` is not part of the filter language"),
    "a = 1 -- always": (5, "a comment"),
    "a = 1 /* always */": (5, "a comment"),
    "a = 1; drop table x": (6, "`;` is not part"),
    "exists(select 1)": (8, "`select` is not part"),
    "s = {{x}}": (5, "not part of the filter language"),
    "device['type'] = 'x'": (7, "not part of the filter language"),
    "device.* is null": (1, "is no field"),
    "a = ?": (1, "not part of the filter language"),
    "s = 'a' 'b'": (9, "right after another one"),
    "s = 'x": (5, "a quote that is not closed"),
    "a = 1 is null": (1, "an int can't be compared with a boolean"),
    "ts = current_timestamp": (1, "not part of the filter language"),
    "a = 9223372036854775808": (5, "larger than a bigint"),
    "d = 1e999": (5, "larger than a double"),
    "day = date '1582-10-10'": (12, "not every calendar"),
    "day = date '2026-02-30'": (12, "is no date"),
    "ts = timestamp '2026-01-01 25:00'": (16, "is no point in time"),
    "ts = timestamp '20260101'": (16, "is no point in time"),
    "s < comment": (1, "beyond U+D7FF"),
    "s > '😀'": (1, "beyond U+D7FF"),
    "s = 'a\0b'": (7, "U+0000"),
    "s = 'a\x1bb'": (7, "U+001B"),
    "s = '\ud800'": (6, "U+D800"),
}


@pytest.mark.parametrize(("text", "place"), REFUSED.items(), ids=map(repr, REFUSED))
def test_what_is_not_of_the_language_is_refused_at_its_column(text: str, place: tuple[int, str]) -> None:
    column, said = place
    with pytest.raises(InvalidSpec) as caught:
        parse_filter(text, SCHEMA)
    assert caught.value.what.startswith(f"column {column}: "), caught.value
    assert said in str(caught.value)
    assert caught.value.field == "filter"
    assert caught.value.mend


@pytest.mark.parametrize("text", ["a =", "and a = 1", "a = = 1", "(a = 1", "a = 1)", "a 1", "a = 1 as b", "()", "not"])
def test_text_that_cannot_be_read_says_where_it_stopped(text: str) -> None:
    with pytest.raises(InvalidSpec, match=r"^filter: column \d+: "):
        parse_filter(text, SCHEMA)


@pytest.mark.parametrize("text", ["", "  \n ", "true", "1 = 1", "'a' = 'b'"])
def test_a_filter_that_looks_at_no_field_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec):
        parse_filter(text, SCHEMA)


DEEP = {
    "parentheses": "(" * 100 + "a = 1" + ")" * 100,
    "nots": "not " * 500 + "ok",
    "signs": "a = " + "- " * 500 + "1",
    "calls": "coalesce(" * 40 + "a" + ", 1)" * 40 + " = 1",
    "is null in a row": "a" + " is null" * 500,
    "comparisons in a row": "ok" + " = ok" * 500,
    "cases": "case when ok then " * 40 + "1" + " end" * 40 + " = 1",
    "sums": "a" + " + a" * 100 + " = 1",
    "products that may overflow": "big" + " * big" * 60 + " = 1",
    "nullif of nullif": "nullif(" * 30 + "a" + ", 1)" * 30 + " = 1",
    "casts in a row": "cast(" * 40 + "a" + " as bigint)" * 40 + " = 1",
    "texts of gigabytes": "s" + " || s" * 50 + " = 'x'",
    "patterns": " or ".join(["regexp_like(s, 'a[b-z]*c')"] * 20),
    "long": "a = 1 and " * 900 + "a = 1",
    "many values": "a in (" + ", ".join(["1"] * 1300) + ")",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())
def test_no_filter_overflows_the_stack_or_grows_without_bound(text: str) -> None:
    with pytest.raises(InvalidSpec, match=r"deep|more than|too long together"):
        parse_filter(text, SCHEMA)


def test_a_long_chain_of_conditions_and_a_list_of_a_thousand_values_are_fine() -> None:
    parse_filter(" or ".join(["a = 1"] * 500), SCHEMA)
    found = parse_filter(f"a in ({', '.join(map(str, range(1000)))})", SCHEMA)
    assert isinstance(found, In)
    assert len(found.values) == 1000


def test_not_like_is_not_read_as_like() -> None:
    assert parse_filter("s not like 'x%'", SCHEMA) == Not(Like(Column(("s",), Scalar.STRING), "x%"))


def test_times_are_kept_in_utc() -> None:
    found = parse_filter("ts > timestamp '2026-01-01T01:30:00.5+02:00' and day = date '2026-01-02'", SCHEMA)
    moment, day = (each.right for each in found.operands if isinstance(each, Comparison))  # type: ignore[union-attr]
    assert moment == Literal(datetime(2025, 12, 31, 23, 30, 0, 500_000, tzinfo=UTC), Scalar.TIMESTAMP)
    assert day == Literal(date(2026, 1, 2), Scalar.DATE)


def test_a_field_may_be_called_like_a_word_of_sql() -> None:
    path = Column(("comment",), Scalar.STRING)
    expected = Comparison(Operator.EQUAL, path, Literal("x", Scalar.STRING))
    assert parse_filter("comment = 'x'", SCHEMA) == expected
    assert parse_filter("\"comment\" = 'x'", SCHEMA) == expected


def test_the_fields_that_a_filter_reads_are_known() -> None:
    tree = parse_filter("device.app.v > 1 or (lower(s) = 'x' and device.app.v is null)", SCHEMA)
    assert field_paths(tree) == {("device", "app", "v"), ("s",)}


RENDERED = {
    "a > 1": ("(`a` > 1)", '("a" > 1)'),
    "a > 1.5": ("(CAST(`a` AS DOUBLE) > 1.5E0)", '(CAST("a" AS DOUBLE) > 1.5E0)'),
    "s = 'it''s'": ("(`s` = 'it''s')", "(\"s\" = 'it''s')"),
    "device.app.v != 3": ("(`device`.`app`.`v` <> 3)", '(("device")."app"."v" <> 3)'),
    "ts < timestamp '2026-01-01'": (
        "(`ts` < CAST(TIMESTAMP '2026-01-01 00:00:00.000000' AS TIMESTAMP_LTZ(6)))",
        "(\"ts\" < TIMESTAMPTZ '2026-01-01 00:00:00.000000+00')",
    ),
    "s like '_.%a%b_'": (r"REGEXP(`s`, '(?s)\A.\x{2E}(?>.*?a).*b.\z')", "(\"s\" LIKE '_.%a%b_')"),
    "a + 1 > 2": ("((CAST(`a` AS BIGINT) + CAST(1 AS BIGINT)) > 2)", '((CAST("a" AS BIGINT) + CAST(1 AS BIGINT)) > 2)'),
    "big + 1 > 2": (
        "((CASE WHEN ABS((CAST(`big` AS DOUBLE) + CAST(1 AS DOUBLE))) < 9.2E+18"
        " THEN (`big` + CAST(1 AS BIGINT)) END) > 2)",
        '((CASE WHEN ABS((CAST("big" AS DOUBLE) + CAST(1 AS DOUBLE))) < 9.2E+18'
        ' THEN TRY_CAST((CAST("big" AS HUGEINT) + CAST(1 AS HUGEINT)) AS BIGINT) END) > 2)',
    ),
    "d / a > 1": (
        "((CASE WHEN ABS((`d` / (CASE WHEN (ABS(CAST(`a` AS DOUBLE)) <> 0.0E0) THEN CAST(`a` AS DOUBLE) ELSE CAST(NULL"
        " AS DOUBLE) END))) <= 1.7976931348623157E308 THEN (`d` / (CASE WHEN (ABS(CAST(`a` AS DOUBLE)) <> 0.0E0) THEN"
        " CAST(`a` AS DOUBLE) ELSE CAST(NULL AS DOUBLE) END)) END) > 1.0E0)",
        None,
    ),
    "ts - interval '1' hour > timestamp '2026-01-01' - interval '30' minute": (
        "((CASE WHEN (`ts` >= CAST(TIMESTAMP '0001-01-01 01:00:00.000000' AS TIMESTAMP_LTZ(6))) THEN (`ts` + -3600 *"
        " INTERVAL '1' SECOND) ELSE CAST(NULL AS TIMESTAMP_LTZ(6)) END) >"
        " CAST(TIMESTAMP '2025-12-31 23:30:00.000000' AS TIMESTAMP_LTZ(6)))",
        None,
    ),
    "contains(tags, 'x')": ("ARRAY_CONTAINS(`tags`, 'x')", "list_contains(\"tags\", 'x')"),
    "regexp_like(s, '^[a-z]+[0-9]$')": (
        r"REGEXP(SUBSTRING(`s`, 1, 1000), '(?:\A[a-z]++[0-9]\z)')",
        r"""regexp_matches(SUBSTRING("s", 1, 1000), '(?:\A[a-z]+[0-9]\z)')""",
    ),
    "d in (0, 1)": ("((ABS(`d`) = 0.0E0) OR (`d` IN (1.0E0)))", '("d" IN (0.0E0, 1.0E0))'),
}


@pytest.mark.parametrize(("text", "expected"), RENDERED.items(), ids=RENDERED.keys())
def test_a_filter_is_rendered_with_quoted_names_and_typed_values(text: str, expected: tuple[str, str | None]) -> None:
    tree = parse_filter(text, SCHEMA)
    assert flink_sql(tree) == expected[0]
    assert expected[1] in (None, duckdb_sql(tree))
