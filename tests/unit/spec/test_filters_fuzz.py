"""Hostile texts: each is refused with a place and a mend, or becomes SQL that is an expression over declared fields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keystone_platform.errors import InvalidSpec
from keystone_platform.spec.filters import Expr, duckdb_sql, field_paths, flink_sql, parse_expression, parse_filter
from keystone_platform.spec.types import Field, Struct
from tests.contract.engines import duckdb_session
from tests.contract.expressions import Writer, sample
from tests.unit.spec.filter_cases import SCHEMA

# fmt: off
HOSTILE = (
    "'", "''", '"', '""', "`", "``", "\\", "\\'", "\\u0027", "\\u0022", "\\x27", "--", "/*", "*/", ";", "#", "{",
    "}", "[", "]", "\x00", "\x1a", "\n", "\r", "\u2028", "\u202e", "\u200b", "\ufeff", "\uff07", "\u2019", "\u212a",
    "\u0131", "\u017f", "\ud800", "\U0001f600", "\uffff", "(", ")", "((", "))", ",", ".", "..", "::", ":", "?", "@",
    "$", "$$", "%", "&", "|", "||", "^", "~", "!", "<=>", "=>", "->", "->>", "E'", "N'", "X'", "B'", "U&'", "{{",
    "}}", "{%", "<!--", "0x", "1e", "1e9999", " union select ", " select ", " from ", " where ", " case ", " end ",
    " when ", " then ", " interval ", " as ", " is ", " null ", " not ", " and ", " or ", " in ", " like ",
    " between ", " escape ", " collate ", " over ", " filter ", " cast(", " try_cast(", " current_timestamp ",
    " exists(", "read_csv('/etc/passwd')", "getenv('HOME')", "pg_sleep(9)", "System.exit(3)", "java.lang.Runtime",
    "_offset", "_headers", "`_raw`", '"_partition"', "_time", "events.a", "t.a", "device.*", "*", "rowid", "a", "s",
    "ok", "device.type", "ts", "tags", "1", "'x'", "=", ">", "+", "-", "/", "lower(", "regexp_like(s, '", "(?=",
    "\\1",
)
# fmt: on

WORDS = set(
    """
    CASE WHEN THEN ELSE END CAST TRY_CAST AS BIGINT INT FLOAT DOUBLE STRING BOOLEAN VARCHAR HUGEINT DATE TIMESTAMP
    TIMESTAMPTZ TIMESTAMP_LTZ NULL IS NOT AND OR IN LIKE TRUE FALSE INTERVAL DAY SECOND ABS MOD NULLIF COALESCE
    TRANSLATE CHAR_LENGTH CARDINALITY TRIM BOTH LEADING TRAILING FROM SUBSTRING STARTSWITH ENDSWITH INSTR ARRAY_CONTAINS
    FLOOR CEIL ROUND TRUNC REGEXP AT TIME ZONE len list_contains starts_with ends_with contains regexp_matches
    make_timestamp epoch_us to_seconds
    """.split()  # noqa: SIM905 - sixty words are read more easily as text
)
"""Every word that a rendered expression may hold outside of texts and quoted names."""

NAMES = set("a big f d s ok day ts device type app v comment tags doubles days end".split())  # noqa: SIM905


def check_rendered(tree: Expr) -> None:
    """Hold the SQL to its grammar: balanced, of known words, and nothing that ends, comments or calls."""
    for sql, mark in ((flink_sql(tree), "`"), (duckdb_sql(tree), '"')):
        outside = re.sub(r"'(?:[^']|'')*'", " '' ", sql)
        names = re.findall(f"{mark}([^{mark}]*){mark}", outside)
        assert set(names) <= NAMES, sql
        rest = re.sub(f"{mark}[^{mark}]*{mark}|''|[0-9]+(?:\\.[0-9]+)?(?:E[-+]?[0-9]+)?", " ", outside)
        assert set(re.findall(r"[^\s()+\-*/%,.<>=|]+", rest)) <= WORDS, sql
        assert not re.search(r"--|/\*|\*/|//", rest), sql
        depth = 0
        for character in outside:
            depth += {"(": 1, ")": -1}.get(character, 0)
            assert depth >= 0, sql
        assert depth == 0, sql


def declared(struct: Struct, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for field in struct.fields:
        yield (*above, field.name)
        if isinstance(field.type, Struct):
            yield from declared(field.type, (*above, field.name))


@pytest.fixture(scope="module")
def session() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb_session(
        SCHEMA, ["{}", '{"s": "x", "a": 1, "big": 9223372036854775807, "d": 1e308, "tags": [null]}']
    ) as session:
        yield session


def outcome(text: str, session: duckdb.DuckDBPyConnection) -> bool:
    """Return whether the text is of the language; anything but a clear refusal or harmless SQL fails."""
    try:
        tree = parse_expression(text, SCHEMA)
    except InvalidSpec as error:
        assert error.what
        assert error.mend
        assert error.field == "filter"
        return False
    assert field_paths(tree) <= set(declared(SCHEMA))
    check_rendered(tree)
    session.execute(f"SELECT hash({duckdb_sql(tree)}) FROM events").fetchall()
    return True


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=4), max_size=10).map("".join))
def test_hostile_fragments_are_refused_or_harmless(session: duckdb.DuckDBPyConnection, text: str) -> None:
    outcome(text, session)


def own_fields() -> Struct:
    """Return the schema that random expressions are written over: with a field of each type, under SCHEMA's names."""
    return Struct(tuple(Field(field.name, field.type) for field in SCHEMA.fields if field.name != "doubles"))


@pytest.mark.parametrize("seed", range(2))
def test_valid_texts_with_something_hostile_in_them_are_refused_or_harmless(
    session: duckdb.DuckDBPyConnection, seed: int
) -> None:
    dice = Random(seed)
    writer = Writer(own_fields(), dice)
    taken = 0
    for _ in range(100):
        text = writer.expression()
        assert isinstance(outcome(text, session), bool)
        for _ in range(3):
            place = dice.randrange(len(text) + 1)
            taken += outcome(text[:place] + dice.choice(HOSTILE) + text[place + dice.randrange(2) :], session)
    assert taken > 5  # a fragment within a text literal is a text


@pytest.mark.parametrize("fragment", HOSTILE, ids=ascii)
def test_a_hostile_text_literal_is_only_a_text(session: duckdb.DuckDBPyConnection, fragment: str) -> None:
    quoted = fragment.replace("'", "''")
    for text in (f"s = '{quoted}'", f"s in ('{quoted}', 'y')", f"s like '%{quoted}_'", f"contains(tags, '{quoted}')"):
        if outcome(text, session):
            literal = flink_sql(parse_filter(f"s = '{quoted}'", SCHEMA))
            assert literal == f"(`s` = '{quoted}')"


def test_random_expressions_are_harmless_too() -> None:
    drawn = sample(11, events=3, expressions=100)
    with duckdb_session(drawn.schema, drawn.events) as session:
        for text in drawn.expressions:
            try:
                tree = parse_expression(text, drawn.schema)
            except InvalidSpec:
                continue
            session.execute(f"SELECT hash({duckdb_sql(tree)}) FROM events").fetchall()
